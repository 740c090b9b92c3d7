"""Parquet files in folders by day, `day=2026-11-21/…`, each record in one of them.

Before a write, the files that may hold some of its records are asked for their ids. Small files of a day are merged:
the merged one is there before the others go, and what a crash left of them is known by its ids being in it.
"""

from collections.abc import Iterable, Sequence
from contextlib import ExitStack, closing
from itertools import groupby
from pathlib import Path

import duckdb

from streamer.sinks.parquet_files import PARTIAL, ParquetFiles, Part, remove
from streamer.sinks.rows import Row
from streamer.timestamps import from_micros, to_micros

MERGED = 8
"""So many files of a day that are of the same order of size become one."""

FULL_BYTES = 4 * 2**20
"""A file of this size is not merged any more."""


class ParquetFolder:
    """Add rows to the files. Not for use by two threads at once, nor is the folder by two processes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._files: ParquetFiles | None = None
        self._days: dict[str, list[Part]] = {}

    def open(self) -> None:
        """Look what is there, and remove what a crash left: files that are not whole, and those that were merged."""
        self.close()
        self._path.mkdir(parents=True, exist_ok=True)
        with ExitStack() as until_known:
            files = until_known.enter_context(closing(ParquetFiles()))
            self._days = {folder.name: _tidied(files, folder) for folder in self._path.glob("day=*")}
            until_known.pop_all()
        self._files = files

    def add(self, rows: Sequence[Row]) -> None:
        """Write the rows that are not there yet, a file a day."""
        if self._files is None:
            self.open()
        assert self._files
        days = {day: list(of_day) for day, of_day in groupby(sorted(rows, key=_place), key=_day)}
        try:
            for day, of_day in days.items():
                self._add_to(self._files, day, of_day)
        except BaseException:
            self.close()
            raise
        self._merge(self._files, days)

    def close(self) -> None:
        """Let go of DuckDB; the next `add` looks again what is there."""
        if self._files:
            self._files.close()
            self._files = None

    def _add_to(self, files: ParquetFiles, day: str, rows: Sequence[Row]) -> None:
        parts = self._days.setdefault(day, [])
        there = files.ids(parts, rows[0].seq, rows[-1].seq)
        if new := [row for row in rows if row.id not in there]:
            parts.append(files.write(self._path / day, new))

    def _merge(self, files: ParquetFiles, days: Iterable[str]) -> None:
        """Merge once a day at most; what fails here loses nothing, and the next write meets the error first."""
        try:
            for day in days:
                if small := _alike(self._days[day]):
                    others = [part for part in self._days[day] if part not in small]
                    self._days[day] = [*others, files.merge(small)]
        except (OSError, duckdb.Error):
            self.close()


def _place(row: Row) -> tuple[str, int]:
    return _day(row), row.seq


def _day(row: Row) -> str:
    return f"day={from_micros(to_micros(row.occurred)).date().isoformat()}"


def _alike(parts: Sequence[Part]) -> list[Part]:
    """Return the parts to merge: the first so many of an order of size, to the base of 8."""
    small = sorted((part for part in parts if part.size < FULL_BYTES), key=_order_of_size)
    for _, group in groupby(small, key=_order_of_size):
        if len(alike := sorted(group)) >= MERGED:
            return alike[:MERGED]
    return []


def _order_of_size(part: Part) -> int:
    return part.size.bit_length() // 3


def _tidied(files: ParquetFiles, folder: Path) -> list[Part]:
    """Return the parts in a folder, in the order of `seq`, without those that are in another one."""
    for partial in folder.glob(f"*.parquet{PARTIAL}"):
        partial.unlink()
    found = (Part.of(path) for path in folder.glob("*.parquet"))
    kept: list[Part] = []
    for part in sorted((part for part in found if part), key=lambda part: (part.first, -part.last)):
        if any(files.covers(other, part) for other in kept):
            remove([part])
        else:
            kept.append(part)
    return kept
