"""`streamer runs`: which runs there are, once or as they go on."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated

import typer
from pydantic import ValidationError

from schemas import StateType
from schemas.ours import VerdictStatus
from streamer.cli.answering import ServiceUrl, client, warn_if_idle
from streamer.cli.options import ApiUrl, ConfigFile, StoreUrl
from streamer.cli.printing import console, json_lines
from streamer.cli.run_table import line, table
from streamer.cli.watching import Patience, changed, rounds, show_live, until_interrupted
from streamer.client import Client
from streamer.client.criteria import moment
from streamer.errors import ConfigError
from streamer.questions import PAGE_MOST, Order, RunQuery
from streamer.run_view import RunView

Texts = list[str] | None
States = list[StateType] | None

_TIME = "a time, or how long ago: 90m, 24h, 7d"


def runs(
    flow: Annotated[Texts, typer.Option(help="Of this flow (name, glob or id); repeatable: any of them.")] = None,
    deployment: Annotated[Texts, typer.Option(help="Of this deployment; repeatable.")] = None,
    name: Annotated[Texts, typer.Option(help="With this name; globs; repeatable.")] = None,
    tag: Annotated[Texts, typer.Option(help="With this tag; globs; repeatable: all of them.")] = None,
    state: Annotated[States, typer.Option(help="In a state of this type; repeatable.", case_sensitive=False)] = None,
    state_name: Annotated[Texts, typer.Option(help="In a state of this name; globs; repeatable.")] = None,
    work_pool: Annotated[Texts, typer.Option(help="In this work pool; repeatable.")] = None,
    zombie: Annotated[bool, typer.Option("--zombie", help="Only those that a verdict stands of.")] = False,
    subflows: Annotated[bool | None, typer.Option(help="Only subflows, or none.", show_default=False)] = None,
    deleted: Annotated[bool, typer.Option("--deleted", help="Only those that the server has deleted.")] = False,
    since: Annotated[str | None, typer.Option(help=f"Not before {_TIME}; by what --sort goes by.")] = None,
    until: Annotated[str | None, typer.Option(help=f"Before {_TIME}.")] = None,
    sort: Annotated[Order, typer.Option(help="The time to go by; runs without it are left out.")] = Order.CREATED,
    oldest_first: Annotated[bool, typer.Option("--oldest-first", help="The oldest first.")] = False,
    limit: Annotated[int, typer.Option(help="The most to show.", min=1)] = 50,
    json: Annotated[bool, typer.Option("--json", help="JSON lines.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Go on: a live table, or a line for each change.")] = False,
    service: ServiceUrl = None,
    store: StoreUrl = None,
    api_url: ApiUrl = None,
    config_file: ConfigFile = None,
) -> None:
    """Show runs, the newest first; works while the service runs."""
    given = {
        "flows": flow,
        "deployments": deployment,
        "names": name,
        "tags": tag,
        "states": state,
        "state_names": state_name,
        "work_pools": work_pool,
        "verdicts": tuple(VerdictStatus) if zombie else (),
        "subflows": subflows,
        "deleted": deleted,
        "since": moment(since) if since else None,
        "until": moment(until) if until else None,
        "order": sort,
        "oldest_first": oldest_first,
        "limit": min(limit, PAGE_MOST),
    }
    query = _query({key: value for key, value in given.items() if value is not None})
    with client(service=service, store=store, api_url=api_url, config_file=config_file) as asked:
        if watch:
            with until_interrupted():
                _watch(asked, query, limit, as_json=json)
        elif json:
            json_lines(_found(asked, query, limit))
        else:
            console().print(table(_found(asked, query, limit), datetime.now(UTC)))


def _query(given: dict[str, object]) -> RunQuery:
    try:
        return RunQuery.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(f"{first['loc'][0]} cannot be asked so: {first['msg']}") from None


def _found(asked: Client, query: RunQuery, limit: int) -> Iterator[RunView]:
    return (known.run for known in islice(asked.session.runs(query), limit))


def _watch(asked: Client, query: RunQuery, limit: int, *, as_json: bool) -> None:
    """Show how the runs are every few seconds: on a terminal all of them, else those that have changed."""
    warn_if_idle(asked)
    patience, terminal = Patience(), console()
    answers = (patience.ask(lambda: list(_found(asked, query, limit))) for _ in rounds())
    pictures = (each for each in answers if each is not None)
    if terminal.is_terminal and not as_json:
        show_live(terminal, (table(each, datetime.now(UTC)) for each in pictures))
        return
    changes = changed(each if query.oldest_first else each[::-1] for each in pictures)
    if as_json:
        json_lines(changes)
    else:
        for run in changes:
            terminal.print(line(run), soft_wrap=True)
