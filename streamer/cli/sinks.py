"""`streamer sinks`: what the configured sinks are given."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from schemas import InvalidEvent, Transition, decode
from streamer import config
from streamer.cli.options import ConfigFile, Sinks
from streamer.deliveries import sinks_of
from streamer.errors import ConfigError
from streamer.model import Record

app = typer.Typer(help="What the configured sinks are given.", no_args_is_help=True)


@app.command("route-test")
def route_test(
    file: Annotated[Path, typer.Argument(help="JSON lines: bare events or websocket messages.")],
    sink: Sinks = None,
    config_file: ConfigFile = None,
) -> None:
    """Show which event of a file would go to which sink, and why it would not; nothing is delivered."""
    settings = config.load(config_file, sink=sink or None)
    wanted = {name: each.terms.routing for name, each in sinks_of(settings).items()}
    if not wanted:
        raise ConfigError("no sink is configured", hint="give some in [sinks.NAME] tables, or with --sink")
    table = Table("line", "event", "flow", *map(escape, wanted), box=None)
    for record in _records(file, settings.source):
        event = record.event
        what = event.to_type if isinstance(event, Transition) else event.name
        flow = event.flow.name or "" if event.flow else ""
        refusals = [routing.refusal(record) for routing in wanted.values()]
        table.add_row(*map(escape, (str(record.seq), what, flow, *(each or "yes" for each in refusals))))
    Console(highlight=False, soft_wrap=True).print(table)


def _records(file: Path, source: str) -> list[Record]:
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}") from error
    return [_record(line, number, source) for number, line in enumerate(lines, 1) if line.strip()]


def _record(line: bytes, number: int, source: str) -> Record:
    try:
        return Record(number, source, decode(line))
    except InvalidEvent as error:
        raise ConfigError(f"line {number} is no valid event: {error}") from error
