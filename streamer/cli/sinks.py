"""`streamer sinks`: which there are and how they are, and what an operator has done with one."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from schemas import Transition
from streamer import config
from streamer.cli.events import records
from streamer.cli.options import ConfigFile, Sinks, StoreUrl
from streamer.deliveries import sinks_of
from streamer.errors import ConfigError
from streamer.operating import act, listed_sinks, try_sink
from streamer.sink_list import SinkState, forgetting
from streamer.starts import read_since

app = typer.Typer(help="The sinks: how they are, and what they are given.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The sink's name, as `streamer sinks list` shows it.")]


@app.command("list")
def list_(
    types: Annotated[bool, typer.Option("--types", help="The installed types of sinks, with their package.")] = False,
    json: Annotated[bool, typer.Option("--json", help="As JSON, as `/api/sinks` has them.")] = False,
    sink: Sinks = None,
    store: StoreUrl = None,
    config_file: ConfigFile = None,
) -> None:
    """Show all sinks, those too that are not configured any more; works while the service runs."""
    if types:
        found, shown = _types(), _types_table
    else:
        settings = config.load(config_file, store=store, sink=sink or None)
        found, shown = asyncio.run(listed_sinks(settings)), _sinks_table
    if json:
        typer.echo(orjson.dumps({"types" if types else "sinks": found}))
        return
    console = Console(highlight=False, soft_wrap=True)
    console.print(shown(found) if found else "there are no sinks")
    for each in found:
        if said := _remark(each):
            console.print(said, markup=False)


def _types() -> list[dict[str, Any]]:
    return [
        {"type": each.name, "package": each.dist.name, "version": each.dist.version}
        for each in sorted(entry_points(group="streamer.sinks"), key=lambda each: each.name)
        if each.dist
    ]


def _types_table(found: list[dict[str, Any]]) -> Table:
    table = Table("type", "package", "version", box=None)
    for each in found:
        table.add_row(*map(escape, each.values()))
    return table


def _sinks_table(found: list[dict[str, Any]]) -> Table:
    table = Table("sink", "type", box=None)
    for heading in ("acked", "behind", "oldest pending", "dead letters"):
        table.add_column(heading, justify="right")
    table.add_column("state")
    for each in found:
        acked = "" if each["acked"] is None else str(each["acked"])
        pending = each["oldest_pending"]
        since = datetime.fromisoformat(pending).astimezone().strftime("%Y-%m-%d %H:%M:%S") if pending else ""
        numbers = (acked, str(each["behind"]), since, str(each["dead_letters"]))
        table.add_row(escape(each["name"]), escape(each["type"] or ""), *numbers, each["state"])
    return table


def _remark(sink: Mapping[str, Any]) -> str | None:
    if sink.get("state") == SinkState.REMOVED:
        return f"{sink['name']} is not configured any more: `{forgetting(sink['name'])}` drops what is kept of it"
    return f"{sink['name']} is down: {sink['trouble']}" if sink.get("trouble") else None


@app.command()
def seek(
    name: Name,
    to: Annotated[str, typer.Option(help="head, oldest, 2h (that long ago), or 2026-11-21T02:00:00Z.")],
    store: StoreUrl = None,
    config_file: ConfigFile = None,
) -> None:
    """Have a sink go on from another place: what occurred since then is given again, or what is left is skipped."""
    read_since(to, now=datetime.now(UTC))
    answer = asyncio.run(act(config.load(config_file, store=store), "sinks/seek", sink=name, to=to))
    before, after, records = (answer[each] for each in ("before", "after", "records"))
    done = f"{records} records will be given again" if after < before else f"{records} records are skipped"
    typer.echo(f"{name} went from seq {before} to seq {after}: {done}")


@app.command()
def forget(name: Name, store: StoreUrl = None, config_file: ConfigFile = None) -> None:
    """Drop what the store keeps of a sink that is not configured any more: its place and its dead letters."""
    settings = config.load(config_file, store=store)
    if not settings.place.service() and name in sinks_of(settings):
        raise ConfigError(f"the sink {name!r} is configured", hint="take it out of the configuration first")
    answer = asyncio.run(act(settings, "sinks/forget", sink=name))
    typer.echo(f"{name} is forgotten, and so are its {answer['dead_letters']} dead letters")


@app.command("test")
def try_(name: Name, sink: Sinks = None, store: StoreUrl = None, config_file: ConfigFile = None) -> None:
    """Give a sink one record that is marked as a test, and say what happened; its place in the log stays."""
    answer = asyncio.run(try_sink(config.load(config_file, store=store, sink=sink or None), name))
    said = {
        "delivered": f"took the test record in {answer['seconds'] * 1000:.0f} ms",
        "passed_over": f"was not sent the test record: {answer['reason']}",
        "refused": f"refused the test record for good: {answer['reason']}",
        "failed": f"did not take the test record, which would be tried again: {answer['reason']}",
    }
    typer.echo(f"{name} {said[answer['outcome']]} (id {answer['id']})")
    raise typer.Exit(0 if answer["outcome"] == "delivered" else 1)


@app.command("route-test")
def route_test(
    file: Annotated[Path, typer.Argument(help="JSON lines: bare events or websocket messages; - is stdin.")],
    sink: Sinks = None,
    config_file: ConfigFile = None,
) -> None:
    """Show which event of a file would go to which sink, and why it would not; nothing is delivered."""
    settings = config.load(config_file, sink=sink or None)
    wanted = {name: each.terms(name, settings.routes).routing for name, each in sinks_of(settings).items()}
    if not wanted:
        raise ConfigError("no sink is configured", hint="give some in [sinks.NAME] tables, or with --sink")
    table = Table("line", "event", "flow", *map(escape, wanted), box=None)
    for record in records(file, settings.source_names[0]):
        event = record.event
        what = event.to_type if isinstance(event, Transition) else event.name
        flow = event.flow.name or "" if event.flow else ""
        refusals = [routing.refusal(record) for routing in wanted.values()]
        table.add_row(*map(escape, (str(record.seq), what, flow, *(each or "yes" for each in refusals))))
    Console(highlight=False, soft_wrap=True).print(table)
