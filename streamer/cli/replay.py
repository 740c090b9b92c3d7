"""`streamer replay`: events from files through the same pipeline."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from streamer import config, interpreter, logs
from streamer.cli.events import opened
from streamer.cli.options import ConfigFile, Sinks, StoreUrl
from streamer.core import open_core, open_store
from streamer.delivery import Delivery
from streamer.errors import SinkError
from streamer.model import Appended, Family, Frame, Net

SOURCE = "replay"
EVERYTHING = datetime(1970, 1, 1, tzinfo=UTC)
"""The epoch of replayed files: all they hold is counted and delivered."""


def replay(
    files: Annotated[list[Path], typer.Argument(help="JSON lines: bare events or websocket messages; - is stdin.")],
    store: StoreUrl = None,
    sink: Sinks = None,
    config_file: ConfigFile = None,
) -> None:
    """Read events from files (.gz too) through the same pipeline, into the same store and sinks."""
    settings = config.load(config_file, store=store, sink=sink or None)
    logs.configure(settings.log_format, settings.log_level)
    interpreter.prepare()
    summary = asyncio.run(_replay(settings, files))
    Console(stderr=True, highlight=False).print(summary.text())
    if behind := [sink.name for sink in summary.sinks if sink.lag()]:
        raise SinkError(f"not all was delivered to {', '.join(behind)}", "mend it, and run the same again: it goes on")


@dataclass(slots=True)
class Summary:
    """An observer that counts what a replay brought."""

    name: str = "summary"
    records: int = 0
    beats: int = 0
    duplicates: int = 0
    refused: int = 0
    sinks: list[Delivery] = field(default_factory=list)

    def committed(self, _source: str, _net: Net, appended: Appended) -> None:
        """Add what was new."""
        self.records += len(appended.records)
        self.beats += len(appended.beats)
        self.duplicates += appended.duplicates
        self.refused += any(counter.family is Family.QUARANTINED for counter in appended.totals.counts)

    def text(self) -> str:
        """Return the sum in a sentence."""
        return (
            f"{self.records} new records, {self.beats} heartbeats, {self.duplicates} were there already,"
            f" {self.refused} in quarantine"
        )


async def _replay(settings: config.Settings, files: list[Path]) -> Summary:
    summary = Summary()
    async with open_core(settings, open_store(settings)) as core, core.delivering():
        await core.log.open_source(SOURCE, identity="file", now=EVERYTHING)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(core.pipeline(summary).run())
            with Progress(console=Console(stderr=True), transient=True) as progress:
                for path in files:
                    with opened(path) as source:
                        bar = progress.add_task(path.name, total=source.size)
                        while lines := await asyncio.to_thread(source.next):
                            for line in filter(None, lines):
                                await core.intake.put(Frame(SOURCE, Net.FILE, line))
                            progress.update(bar, completed=source.read)
            core.intake.close()
        summary.sinks = core.deliveries
    return summary
