"""`streamer replay`: events from files through the same pipeline."""

import asyncio
import gzip
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from streamer import config, logs
from streamer.cli.options import ConfigFile, Sinks, StoreUrl
from streamer.core import open_core
from streamer.delivery import Delivery
from streamer.errors import ConfigError, SinkError
from streamer.model import Appended, Family, Frame, Net

SOURCE = "replay"
EVERYTHING = datetime(1970, 1, 1, tzinfo=UTC)
"""The epoch of replayed files: all they hold is counted and delivered."""

_LINES_AT_ONCE = 1000


def replay(
    files: Annotated[list[Path], typer.Argument(help="JSON lines: bare events or websocket messages; - is stdin.")],
    store: StoreUrl = None,
    sink: Sinks = None,
    config_file: ConfigFile = None,
) -> None:
    """Read events from files (.gz too) through the same pipeline, into the same store and sinks."""
    settings = config.load(config_file, store=store, sink=sink or None)
    logs.configure(settings.log_format, settings.log_level)
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
    async with open_core(settings) as core, core.delivering():
        await core.log.open_source(SOURCE, identity="file", now=EVERYTHING)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(core.pipeline(summary).run())
            with Progress(console=Console(stderr=True), transient=True) as progress:
                for path in files:
                    with _opened(path) as source:
                        bar = progress.add_task(path.name, total=source.size)
                        while lines := await asyncio.to_thread(source.lines):
                            for line in lines:
                                await core.intake.put(Frame(SOURCE, Net.FILE, line))
                            progress.update(bar, completed=source.read)
            core.intake.close()
        summary.sinks = core.deliveries
    return summary


class _Source:
    """A file of lines, and how far it has been read."""

    def __init__(self, name: Path, raw: IO[bytes], text: Any, size: int | None) -> None:
        self._name = name
        self._raw = raw
        self._text = text
        self.size = size

    @property
    def read(self) -> int:
        """Return how many bytes of the file, compressed or not, have been read."""
        return self._raw.tell() if self.size else 0

    def lines(self) -> list[bytes]:
        """Return the next lines that are not empty; none at the end."""
        while chunk := self._chunk():
            if lines := [line.rstrip() for line in chunk if line.strip()]:
                return lines
        return []

    def _chunk(self) -> list[bytes]:
        try:
            chunk: list[bytes] = self._text.readlines(_LINES_AT_ONCE * 1500)
        except (OSError, EOFError, zlib.error) as error:
            raise ConfigError(f"cannot read {self._name}: {error}", hint="is the file whole?") from error
        return chunk


@contextmanager
def _opened(path: Path) -> Iterator[_Source]:
    if str(path) == "-":
        yield _Source(path, sys.stdin.buffer, sys.stdin.buffer, None)
        return
    try:
        raw = path.open("rb")
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    with raw:
        yield _Source(path, raw, gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw, path.stat().st_size)
