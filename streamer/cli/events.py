"""Events in files: JSON lines of bare events or websocket messages."""

import gzip
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, Any

from schemas import InvalidEvent, decode
from streamer.errors import ConfigError
from streamer.model import Record

BYTES_AT_ONCE = 1_500_000


def records(file: Path, source: str) -> Iterator[Record]:
    """Yield the events of a file, numbered by their lines; what is none is a `ConfigError` that names the line."""
    with opened(file) as lines:
        for number, line in enumerate(chain.from_iterable(iter(lines.next, [])), 1):
            if line:
                yield _record(line, number, source)


def _record(line: bytes, number: int, source: str) -> Record:
    try:
        return Record(number, source, decode(line))
    except InvalidEvent as error:
        raise ConfigError(f"line {number} is no valid event: {error}") from error


class Lines:
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

    def next(self) -> list[bytes]:
        """Return the next lines, without what ends them; none at the end."""
        try:
            return [line.strip() for line in self._text.readlines(BYTES_AT_ONCE)]
        except (OSError, EOFError, zlib.error) as error:
            raise ConfigError(f"cannot read {self._name}: {error}", hint="is the file whole?") from error


@contextmanager
def opened(path: Path) -> Iterator[Lines]:
    """Open a file of lines, or standard input for `-`; what ends in .gz is unpacked."""
    if str(path) == "-":
        yield Lines(path, sys.stdin.buffer, sys.stdin.buffer, None)
        return
    try:
        raw = path.open("rb")
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    with raw:
        yield Lines(path, raw, gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw, path.stat().st_size)
