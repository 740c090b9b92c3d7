"""Records that a sink refused for good: kept with the reason until somebody has them retried, or drops them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson
import zstandard

from schemas import decode
from streamer.model import Record
from streamer.store.engine import Connection
from streamer.timestamps import from_micros

ALL = 2**62


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that a sink refused, without its body; `size` is in bytes."""

    sink: str
    seq: int
    source: str
    reason: str
    buried: datetime
    size: int


def bury(connection: Connection, sink: str, record: Record, reason: str, *, now: int) -> None:
    """Keep a record; one that was refused before has the new reason."""
    row = (sink, record.seq, record.source, reason, now, zstandard.compress(record.event.raw))
    connection.execute(
        "INSERT INTO dead_letters VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (sink, seq)"
        " DO UPDATE SET reason = excluded.reason, buried = excluded.buried",
        row,
    )


def listed(connection: Connection, sink: str | None = None, *, limit: int | None = None) -> list[DeadLetter]:
    """Return what one sink, or any, has refused, newest first."""
    rows = connection.execute(
        "SELECT sink, seq, source, reason, buried, body FROM dead_letters WHERE sink = coalesce(?, sink)"
        " ORDER BY buried DESC, seq DESC LIMIT ?",
        (sink, ALL if limit is None else limit),
    )
    return [
        DeadLetter(sink, seq, source, reason, from_micros(buried), len(zstandard.decompress(body)))
        for sink, seq, source, reason, buried, body in rows
    ]


def seqs(connection: Connection, sink: str) -> list[int]:
    """Return the numbers of what a sink has refused, in order."""
    return [seq for (seq,) in connection.execute("SELECT seq FROM dead_letters WHERE sink = ? ORDER BY seq", (sink,))]


def count(connection: Connection, sink: str | None = None) -> int:
    """Return how many records one sink, or any, has refused."""
    query = "SELECT count(*) FROM dead_letters WHERE sink = coalesce(?, sink)"
    number: int = connection.execute(query, (sink,)).fetchone()[0]
    return number


def records(connection: Connection, sink: str, seqs: Sequence[int]) -> list[Record]:
    """Return these of the records that a sink has refused, in order."""
    query = (
        "SELECT seq, source, body FROM dead_letters WHERE sink = ?"
        " AND seq IN (SELECT CAST(value AS BIGINT) FROM json_each(?)) ORDER BY seq"
    )
    rows = connection.execute(query, (sink, orjson.dumps(list(seqs)).decode()))
    return [Record(seq, source, decode(zstandard.decompress(body))) for seq, source, body in rows]


def drop(connection: Connection, sink: str, seqs: Collection[int]) -> int:
    """Forget these; return how many there were."""
    query = "DELETE FROM dead_letters WHERE sink = ? AND seq IN (SELECT CAST(value AS BIGINT) FROM json_each(?))"
    return connection.execute(query, (sink, orjson.dumps(list(seqs)).decode())).rowcount
