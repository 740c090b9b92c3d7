"""`streamer flows` and `streamer deployments`: how their runs fare."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from streamer.cli.answering import ServiceUrl, client
from streamer.cli.options import ApiUrl, ConfigFile, StoreUrl
from streamer.cli.printing import console, json_lines
from streamer.cli.run_table import name, state, title
from streamer.cli.times import ago
from streamer.errors import ConfigError
from streamer.questions import TEXTS_MOST, DeploymentQuery, FlowQuery
from streamer.summary_view import DeploymentView, FlowView

Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Only of such a name; globs, or ids.")]
Json = Annotated[bool, typer.Option("--json", help="JSON lines, as the REST API has them.")]


def flows(
    names: Names = None,
    json: Json = False,
    service: ServiceUrl = None,
    store: StoreUrl = None,
    api_url: ApiUrl = None,
    config_file: ConfigFile = None,
) -> None:
    """Show flows and how their runs fare, the one with the latest run first; works while the service runs."""
    with client(service=service, store=store, api_url=api_url, config_file=config_file) as asked:
        told = asked.session.provider.flows(FlowQuery(names=_few(names)))
    if json:
        json_lines(told)
    else:
        console().print(_table("flow", told) if told else "no flow is such")


def deployments(
    names: Names = None,
    json: Json = False,
    service: ServiceUrl = None,
    store: StoreUrl = None,
    api_url: ApiUrl = None,
    config_file: ConfigFile = None,
) -> None:
    """Show deployments and how their runs fare, the one with the latest run first; works while the service runs."""
    with client(service=service, store=store, api_url=api_url, config_file=config_file) as asked:
        told = asked.session.provider.deployments(DeploymentQuery(names=_few(names)))
    if json:
        json_lines(told)
    else:
        console().print(_table("deployment", told) if told else "no deployment is such")


def _few(names: list[str] | None) -> tuple[str, ...]:
    if names and len(names) > TEXTS_MOST:
        raise ConfigError(f"{len(names)} names are too many at once", hint=f"give at most {TEXTS_MOST}, or globs")
    return tuple(names or ())


def _table(kind: str, found: Sequence[FlowView | DeploymentView]) -> Table:
    now = datetime.now(UTC)
    table = Table(kind, *(["flow"] if kind == "deployment" else []), box=None)
    table.add_column("runs", justify="right")
    for heading in ("latest run", "state", "since", "last success", "last failure"):
        table.add_column(heading)
    table.add_column("failures in a row", justify="right")
    for each in found:
        latest, good, bad = each.latest, each.latest_successful, each.latest_failed
        of = [name(each.flow)] if isinstance(each, DeploymentView) else []
        table.add_row(
            Text(each.name or each.id),
            *of,
            str(each.runs),
            title(latest),
            state(latest.state.type, latest.state.name),
            ago(latest.state.at, now),
            ago(good.ended if good else None, now),
            ago(bad.ended if bad else None, now),
            Text(str(each.consecutive_failures), style="bold red" if each.consecutive_failures else "dim"),
        )
    return table
