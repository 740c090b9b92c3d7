"""The log's raw bytes: lines of `<seq> TAB <json>`, compressed with zstd; several records to a segment."""

import sys
import time
from collections.abc import Collection, Iterator, Sequence

import orjson
import zstandard

from schemas import decode
from streamer.model import Record
from streamer.store.engine import Connection
from streamer.timestamps import to_micros

_Row = tuple[int, int, int, bytes, int, int | None]

_FIRST_SEGMENT = (
    "SELECT min(first_seq) FROM (SELECT first_seq FROM segments INDEXED BY segments_newest WHERE newest IS NULL"
    " UNION ALL SELECT first_seq FROM segments INDEXED BY segments_newest WHERE newest >= ?) AS either"
)
"""By the index alone: `newest` lies behind the body, and of a body in many pages each would have to be read."""

_OF_SOURCES = "FROM segments JOIN sources ON sources.id = source"
_HOLDS = "SELECT coalesce(max(first_seq), 0) FROM segments WHERE first_seq <= ?"

AT_ONCE = 64
"""Segments that are read from the disk at once."""

MERGE_BELOW_BYTES = 32_768
"""Segments smaller than this are merged with their neighbours of the same source."""


def pack(records: Sequence[Record]) -> bytes:
    """Return the compressed lines of these records."""
    return _compress(b"".join(b"%d\t%b\n" % (record.seq, record.event.raw) for record in records))


def write(connection: Connection, source_id: int, records: Sequence[Record]) -> None:
    """Insert one segment with these records."""
    newest = to_micros(max([record.event.occurred for record in records]))
    _insert(connection, (records[0].seq, records[-1].seq, source_id, pack(records), time.time_ns() // 1000, newest))


def _insert(connection: Connection, row: _Row) -> None:
    connection.execute("INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?)", row)


def first_since(connection: Connection, moment: int) -> int | None:
    """Return the first `seq`, in order, of a record that occurred at or after a time; None if there is none."""
    segment = connection.execute(_FIRST_SEGMENT, (moment,)).fetchone()[0]
    query = "SELECT seq FROM records WHERE seq >= ? AND occurred >= ? ORDER BY seq LIMIT 1"
    row = connection.execute(query, (segment, moment)).fetchone()
    return row[0] if row else None


def read(connection: Connection, *, beyond: int, limit: int) -> list[Record]:
    """Return at most `limit` records beyond a `seq`, in order."""
    found: list[Record] = []
    for source, body in _bodies(connection, beyond + 1):
        for seq, raw in _lines(body):
            if seq > beyond:
                found.append(_record(seq, source, raw))
                if len(found) == limit:
                    return found
    return found


def _bodies(connection: Connection, seq: int) -> Iterator[tuple[str, bytes]]:
    """Yield the segments from the one that has a `seq` on, with their sources: some at a time, for they are large."""
    query = (
        f"SELECT last_seq, sources.name, body {_OF_SOURCES}"
        f" WHERE first_seq >= ({_HOLDS}) AND last_seq >= ? ORDER BY first_seq LIMIT ?"
    )
    while rows := connection.execute(query, (seq, seq, AT_ONCE)).fetchall():
        yield from (row[1:] for row in rows)
        seq = rows[-1][0] + 1


def read_these(connection: Connection, seqs: Collection[int]) -> list[Record]:
    """Return the records with these numbers, as far as they are there, in order."""
    holds = _HOLDS.replace("?", "CAST(value AS BIGINT)")
    rows = connection.execute(
        f"SELECT sources.name, body {_OF_SOURCES} WHERE first_seq IN"
        f" (SELECT ({holds}) FROM json_each(?)) ORDER BY first_seq",
        (orjson.dumps(list(seqs)).decode(),),
    )
    wanted = set(seqs)
    return [_record(seq, source, raw) for source, body in rows for seq, raw in _lines(body) if seq in wanted]


def _record(seq: int, source: str, raw: bytes) -> Record:
    return Record(seq, source, decode(raw, max_bytes=sys.maxsize))  # it was let in once


def merge(connection: Connection, *, limit: int = 1000) -> int:
    """Merge runs of small neighbouring segments; return how many were merged into others."""
    rows = connection.execute(
        "SELECT first_seq, last_seq, source, body, written, newest FROM segments WHERE length(body) < ?"
        " ORDER BY first_seq DESC LIMIT ?",
        (MERGE_BELOW_BYTES, limit),
    ).fetchall()[::-1]  # the newest, since those that stand alone are never merged and would be found first
    return sum(_merge_into_one(connection, group) for group in _neighbours(connection, rows) if len(group) > 1)


def _neighbours(connection: Connection, rows: Sequence[_Row]) -> Iterator[list[_Row]]:
    """Group rows that stand side by side in the log and together stay small."""
    group: list[_Row] = []
    for row in rows:
        fits = group and group[-1][2] == row[2] and sum(len(each[3]) for each in group) < MERGE_BELOW_BYTES
        if fits and not _stands_between(connection, group[-1][1], row[0]):
            group.append(row)
        else:
            yield group
            group = [row]
    yield group


def _stands_between(connection: Connection, last: int, first: int) -> bool:
    query = "SELECT 1 FROM segments WHERE first_seq > ? AND first_seq < ?"
    return connection.execute(query, (last, first)).fetchone() is not None


def _merge_into_one(connection: Connection, group: Sequence[_Row]) -> int:
    first, last, source, written = group[0][0], group[-1][1], group[0][2], max(row[4] for row in group)
    known = [row[5] for row in group if row[5] is not None]
    newest = max(known) if len(known) == len(group) else None
    body = _compress(b"".join(_decompress(row[3]) for row in group))
    connection.execute("DELETE FROM segments WHERE first_seq BETWEEN ? AND ?", (first, last))
    _insert(connection, (first, last, source, body, written, newest))
    return len(group) - 1


def _lines(body: bytes) -> Iterator[tuple[int, bytes]]:
    for line in _decompress(body).split(b"\n")[:-1]:
        seq, _, raw = line.partition(b"\t")
        yield int(seq), raw


def _compress(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


def _decompress(body: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompress(body)
