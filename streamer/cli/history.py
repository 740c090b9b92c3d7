"""`streamer history`: how many runs there were when, and what has become of them."""

from typing import Annotated

import orjson
import typer
from rich.table import Table
from rich.text import Text

from schemas import StateType
from streamer.cli.answering import ServiceUrl, client
from streamer.cli.options import ConfigFile, StoreUrl
from streamer.cli.printing import console
from streamer.cli.rendering import COLOURS
from streamer.reports import Bucket

BAR = 40

_TIME = "a time, or how long ago: 90m, 24h, 7d"


def history(
    since: Annotated[str, typer.Option(help=f"From {_TIME}.")] = "24h",
    until: Annotated[str | None, typer.Option(help=f"Up to {_TIME}; now, unless you say so.")] = None,
    interval: Annotated[str, typer.Option(help="How long each bucket is.")] = "1h",
    flow: Annotated[list[str] | None, typer.Option(help="Only this flow; repeatable.")] = None,
    json: Annotated[bool, typer.Option("--json", help="The buckets as Prefect's API has them.")] = False,
    service: ServiceUrl = None,
    store: StoreUrl = None,
    config_file: ConfigFile = None,
) -> None:
    """Show the runs that were due in each interval, by their present state; works while the service runs."""
    with client(service=service, store=store, api_url=None, config_file=config_file) as asked:
        buckets = asked.history(since=since, until=until, interval=interval, flows=flow or ())
    if json:
        typer.echo(orjson.dumps(buckets, option=orjson.OPT_UTC_Z))
    else:
        console().print(_table(buckets))


def _table(buckets: list[Bucket]) -> Table:
    table = Table("from", "runs", "", "states", box=None)
    most = max(map(_number, buckets), default=0)
    for bucket in buckets:
        start = bucket.interval_start.astimezone().strftime("%m-%d %H:%M")
        states = ", ".join(f"{each.count_runs} {each.state_name}" for each in bucket.states)
        table.add_row(start, str(_number(bucket)), _bar(bucket, most), states)
    return table


def _bar(bucket: Bucket, most: int) -> Text:
    """Return a bar as long as there are runs, a colour for each state type."""
    bar = Text()
    for each in bucket.states:
        bar.append("█" * max(1, round(BAR * each.count_runs / most)), style=COLOURS[StateType(each.state_type)])
    return bar


def _number(bucket: Bucket) -> int:
    return sum(each.count_runs for each in bucket.states)
