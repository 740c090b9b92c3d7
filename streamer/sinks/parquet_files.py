"""Parquet files `<first seq>-<last seq>-<digest>.parquet`: written whole or not at all, and asked what is in them."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple, Self
from uuid import UUID

import duckdb

from streamer.sinks.rows import Row
from streamer.timestamps import from_micros, to_micros

ROWS_IN_A_GROUP = 20_480
PARTIAL = ".partial"

_NAME = re.compile(r"(\d{12,})-(\d{12,})-[0-9a-f]{16}\.parquet")
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "threads": 1,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
_TYPES = {
    "id": "UUID",
    "seq": "BIGINT",
    "occurred": "TIMESTAMPTZ",
    "received": "TIMESTAMPTZ",
    "flow_run_id": "UUID",
    "run_count": "INTEGER",
    "tags": "VARCHAR[]",
}
"""Of the columns that are no text."""
_ROWS = "SELECT " + ", ".join(f"unnest(${name}::{_TYPES.get(name, 'VARCHAR')}[]) AS {name}" for name in Row._fields)
_READ = "read_parquet($files, union_by_name = true, hive_partitioning = false)"


class Part(NamedTuple):
    """A file with records from one `seq` to another, maybe not all between them."""

    first: int
    last: int
    path: Path
    size: int

    @classmethod
    def of(cls, path: Path) -> Self | None:
        """Return the part that a file is; None if its name says that it is none of ours."""
        name = _NAME.fullmatch(path.name)
        return cls(int(name[1]), int(name[2]), path, path.stat().st_size) if name else None

    def may_hold(self, first: int, last: int) -> bool:
        """Tell whether a record between these two may be in it."""
        return self.first <= last and self.last >= first

    def may_cover(self, other: "Part") -> bool:
        """Tell whether all of another part may be in it."""
        return self.first <= other.first and self.last >= other.last


class ParquetFiles:
    """Write and read files with a DuckDB in memory."""

    def __init__(self) -> None:
        self._database = duckdb.connect(":memory:", config=_SETTINGS)

    def write(self, folder: Path, rows: Sequence[Row]) -> Part:
        """Write rows, which are in the order of `seq`, as a new file in a folder that is made if need be."""
        columns = dict(zip(Row._fields, map(list, zip(*map(_in_utc, rows), strict=True)), strict=True))
        name = _name(rows[0].seq, rows[-1].seq, (row.id.bytes for row in rows))
        if not folder.exists():
            folder.mkdir()
            sync(folder.parent)
        return self._write(folder / name, _ROWS, columns)

    def merge(self, parts: Sequence[Part]) -> Part:
        """Return one part that holds what these do; they are gone when it is there."""
        inputs = [str(part.path) for part in parts]
        first, last = min(part.first for part in parts), max(part.last for part in parts)
        name = _name(first, last, (part.path.name.encode() for part in parts))
        merged = self._write(parts[0].path.with_name(name), f"FROM {_READ}", {"files": inputs})
        remove(parts)
        return merged

    def ids(self, parts: Sequence[Part], first: int, last: int) -> set[UUID]:
        """Return the ids of the records between two places that are in these parts."""
        files = [str(part.path) for part in parts if part.may_hold(first, last)]
        if not files:
            return set()
        question = f"SELECT id FROM {_READ} WHERE seq BETWEEN $first AND $last"  # noqa: S608 - a constant
        found = self._database.execute(question, {"files": files, "first": first, "last": last})
        return {UUID(str(ident)) for (ident,) in found.fetchall()}

    def covers(self, part: Part, other: Part) -> bool:
        """Tell whether all that is in the other part is in this one too."""
        if not part.may_cover(other):
            return False
        return self.ids([other], other.first, other.last) <= self.ids([part], other.first, other.last)

    def close(self) -> None:
        """Let go of DuckDB."""
        self._database.close()

    def _write(self, target: Path, query: str, values: Mapping[str, Sequence[object]]) -> Part:
        """Write what a query gives; the file has its name once it is whole and on the disk."""
        partial = target.with_name(target.name + PARTIAL)
        try:
            found = self._database.sql(query, params=dict(values))
            found.write_parquet(str(partial), compression="zstd", row_group_size=ROWS_IN_A_GROUP)
            sync(partial)
            partial.rename(target)
        finally:
            partial.unlink(missing_ok=True)
        sync(target.parent)
        part = Part.of(target)
        assert part
        return part


def remove(parts: Iterable[Part]) -> None:
    """Remove files whose records are elsewhere."""
    for part in parts:
        part.path.unlink()


def sync(path: Path) -> None:
    """Make a file's content, or the names in a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _in_utc(row: Row) -> Row:
    """Return the row with times that DuckDB takes: in UTC, and nearest to those that its calendar lacks."""
    received = row.received and from_micros(to_micros(row.received))
    return row._replace(occurred=from_micros(to_micros(row.occurred)), received=received)


def _name(first: int, last: int, content: Iterable[bytes]) -> str:
    digest = blake2b(b"".join(content), digest_size=8).hexdigest()
    return f"{first:012d}-{last:012d}-{digest}.parquet"
