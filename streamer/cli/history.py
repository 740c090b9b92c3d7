"""`streamer history`: how many runs there were when, and what has become of them."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import orjson
import typer
from pydantic import TypeAdapter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from schemas import StateType
from streamer.cli.asking import ask, store_path
from streamer.cli.options import ConfigFile, StoreUrl
from streamer.cli.rendering import COLOURS
from streamer.durations import Duration
from streamer.errors import ConfigError
from streamer.reports import Bucket, span_until
from streamer.store.sqlite import SqliteStore

BAR = 40

_DURATION: TypeAdapter[timedelta] = TypeAdapter(Duration)


def history(
    since: Annotated[str, typer.Option(help="How far to look back: 90m, 24h, 7d.")] = "24h",
    interval: Annotated[str, typer.Option(help="How long each bucket is.")] = "1h",
    flow: Annotated[list[str] | None, typer.Option(help="Only this flow; repeatable.")] = None,
    json: Annotated[bool, typer.Option("--json", help="The buckets as Prefect's API has them.")] = False,
    store: StoreUrl = None,
    config_file: ConfigFile = None,
) -> None:
    """Show the runs that were due in each interval, by their present state; works while the service runs."""
    now = datetime.now(UTC)
    try:
        lengths = {"since": _DURATION.validate_python(since), "interval": _DURATION.validate_python(interval)}
    except ValueError:
        raise ConfigError(f"{since} or {interval} is no duration", hint="write them as 90m, 24h or 7d") from None
    try:
        span = span_until(now, **lengths, flows=flow or ())
    except ValueError as error:
        raise ConfigError(str(error)) from None

    async def question(opened: SqliteStore) -> list[Bucket]:
        return await opened.run_history(span, now=now)

    buckets = ask(store_path(config_file, store), question)
    if json:
        typer.echo(orjson.dumps(buckets, option=orjson.OPT_UTC_Z))
    else:
        Console(highlight=False).print(_table(buckets))


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
