"""`streamer runs` and `streamer inspect`: what the store knows of runs."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import orjson
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from streamer.cli import rendering
from streamer.cli.asking import ask, store_path
from streamer.cli.options import ConfigFile, StoreUrl
from streamer.errors import ConfigError
from streamer.model import Beat, RunState
from streamer.run_view import as_json
from streamer.store.sqlite import SqliteStore
from streamer.timestamps import from_micros


def runs(
    zombie: Annotated[bool, typer.Option("--zombie", help="Only those that a verdict stands of.")] = False,
    limit: Annotated[int, typer.Option(help="The most to show.", min=1)] = 50,
    json: Annotated[bool, typer.Option("--json", help="JSON lines.")] = False,
    store: StoreUrl = None,
    config_file: ConfigFile = None,
) -> None:
    """Show the runs whose state is the newest; works while the service runs."""

    async def question(opened: SqliteStore) -> tuple[list[RunState], Mapping[str, str]]:
        return await opened.find_runs(judged=zombie, limit=limit), (await opened.totals()).names

    found, names = ask(store_path(config_file, store), question)
    if json:
        for run in found:
            typer.echo(orjson.dumps(as_json(run, names), option=orjson.OPT_UTC_Z))
        return
    table = Table("run", "flow", "state", "since", "last heartbeat", "verdict", box=None)
    for run in found:
        beat = _ago(from_micros(run.beats[-1].occurred)) if run.beats else ""
        verdict = f"{run.verdict.status}: {run.verdict.reason}" if run.verdict else ""
        cells = (run.name or str(run.id), names.get(run.flow or "", ""), run.state_name or "", _ago(run.since))
        table.add_row(*map(escape, cells), beat, verdict)
    Console(highlight=False).print(table if found else "no run is such")


def inspect(
    run: Annotated[str, typer.Argument(help="The run's id.")],
    store: StoreUrl = None,
    config_file: ConfigFile = None,
) -> None:
    """Show what is known of one run: its states, its last heartbeats, what it is held to be."""
    try:
        ident = UUID(run)
    except ValueError:
        raise ConfigError(f"{run} is no id of a run", hint="`streamer runs --json` shows the ids") from None

    async def question(opened: SqliteStore) -> tuple[RunState | None, Sequence[object]]:
        return await opened.run(ident), [record.event for record in await opened.history(ident)]

    found, events = ask(store_path(config_file, store), question)
    if found is None:
        raise ConfigError(f"the store knows no run {ident}", hint="is it another server's, or long over?")
    console = Console(highlight=False)
    for event in events:
        console.print(rendering.line(event))  # type: ignore[arg-type]
    if found.beats:
        console.print(_beats(found.beats))
    if found.verdict:
        console.print(f"held to be {found.verdict.status} since {_ago(found.verdict.at)}: {found.verdict.reason}")


def _beats(beats: Sequence[Beat]) -> Table:
    table = Table("heartbeat", "after the one before", "on the way", box=None)
    before: Beat | None = None
    for beat in beats:
        gap = f"{(beat.occurred - before.occurred) / 1e6:.1f} s" if before else ""
        sent = from_micros(beat.occurred).astimezone().strftime("%H:%M:%S.%f")[:-3]
        table.add_row(sent, gap, f"{(beat.received - beat.occurred) / 1e6:.3f} s")
        before = beat
    return table


def _ago(moment: datetime | None) -> str:
    if moment is None:
        return ""
    seconds = int((datetime.now(UTC) - moment).total_seconds())
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length}{unit} ago"
    return f"{seconds}s ago"
