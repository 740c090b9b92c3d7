"""Records that a sink refused for good: kept with the reason until somebody has them retried, or drops them."""

import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson
import zstandard

from schemas import decode
from streamer.model import Record
from streamer.timestamps import from_micros


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that a sink refused, without its body; `size` is in bytes."""

    sink: str
    seq: int
    source: str
    reason: str
    buried: datetime
    size: int


def bury(connection: sqlite3.Connection, sink: str, record: Record, reason: str, *, now: int) -> None:
    """Keep a record; one that was refused before has the new reason."""
    row = (sink, record.seq, record.source, reason, now, zstandard.compress(record.event.raw))
    connection.execute("INSERT OR REPLACE INTO dead_letters VALUES (?, ?, ?, ?, ?, ?)", row)


def listed(connection: sqlite3.Connection, sink: str | None = None, *, limit: int | None = None) -> list[DeadLetter]:
    """Return what one sink, or any, has refused, newest first."""
    rows = connection.execute(
        "SELECT sink, seq, source, reason, buried, body FROM dead_letters WHERE sink = coalesce(?, sink)"
        " ORDER BY buried DESC, seq DESC LIMIT ?",
        (sink, -1 if limit is None else limit),
    )
    return [
        DeadLetter(sink, seq, source, reason, from_micros(buried), len(zstandard.decompress(body)))
        for sink, seq, source, reason, buried, body in rows
    ]


def seqs(connection: sqlite3.Connection, sink: str) -> list[int]:
    """Return the numbers of what a sink has refused, in order."""
    return [seq for (seq,) in connection.execute("SELECT seq FROM dead_letters WHERE sink = ? ORDER BY seq", (sink,))]


def count(connection: sqlite3.Connection, sink: str | None = None) -> int:
    """Return how many records one sink, or any, has refused."""
    query = "SELECT count(*) FROM dead_letters WHERE sink = coalesce(?, sink)"
    number: int = connection.execute(query, (sink,)).fetchone()[0]
    return number


def records(connection: sqlite3.Connection, sink: str, seqs: Sequence[int]) -> list[Record]:
    """Return these of the records that a sink has refused, in order."""
    query = (
        "SELECT seq, source, body FROM dead_letters WHERE sink = ?"
        " AND seq IN (SELECT value FROM json_each(?)) ORDER BY seq"
    )
    rows = connection.execute(query, (sink, orjson.dumps(list(seqs)).decode()))
    return [Record(seq, source, decode(zstandard.decompress(body))) for seq, source, body in rows]


def drop(connection: sqlite3.Connection, sink: str, seqs: Collection[int]) -> int:
    """Forget these; return how many there were."""
    query = "DELETE FROM dead_letters WHERE sink = ? AND seq IN (SELECT value FROM json_each(?))"
    return connection.execute(query, (sink, orjson.dumps(list(seqs)).decode())).rowcount
