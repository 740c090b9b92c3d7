"""How far each reader has come; a reader that is configured no more stays here until somebody forgets it."""

from dataclasses import dataclass
from datetime import datetime

from streamer.model import ALERTS_READER, Cursor
from streamer.store import segments
from streamer.store.engine import Connection
from streamer.timestamps import from_micros, to_micros


@dataclass(frozen=True, slots=True)
class Reader:
    """A reader that has a cursor or dead letters, and when the oldest record occurred that it still has to take."""

    name: str
    acked: int | None
    oldest_pending: datetime | None
    dead_letters: int


def find(connection: Connection, reader: str) -> Cursor | None:
    """Return a reader's cursor, if it has one."""
    row = connection.execute("SELECT seq, since FROM cursors WHERE reader = ?", (reader,)).fetchone()
    return row and Cursor(row[0], None if row[1] is None else from_micros(row[1]))


def begun(connection: Connection, since: datetime | None) -> Cursor:
    """Return the cursor of a new reader: before the first record that occurred since a time, or at the head."""
    first = None if since is None else segments.first_since(connection, to_micros(since))
    return Cursor(connection.newest_seq() if first is None else first - 1, since)


def put(connection: Connection, reader: str, cursor: Cursor) -> None:
    """Keep a reader's cursor as it is given."""
    since = None if cursor.since is None else to_micros(cursor.since)
    connection.execute(
        "INSERT INTO cursors VALUES (?, ?, ?)"
        " ON CONFLICT (reader) DO UPDATE SET seq = excluded.seq, since = excluded.since",
        (reader, cursor.seq, since),
    )


def commit(connection: Connection, reader: str, seq: int) -> None:
    """Move a reader's cursor on to a `seq`, never back."""
    connection.execute("UPDATE cursors SET seq = max(seq, ?) WHERE reader = ?", (seq, reader))


def between(connection: Connection, low: int, high: int) -> int:
    """Return how many records are beyond one `seq`, up to another."""
    query = "SELECT count(*) FROM records WHERE seq > ? AND seq <= ?"
    number: int = connection.execute(query, (low, high)).fetchone()[0]
    return number


def pending_since(connection: Connection, seq: int) -> datetime | None:
    """Return when the next record beyond a `seq` occurred; None if there is none."""
    row = connection.execute("SELECT occurred FROM records WHERE seq > ? ORDER BY seq LIMIT 1", (seq,)).fetchone()
    return row and from_micros(row[0])


def readers(connection: Connection) -> list[Reader]:
    """Return all readers that are sinks, by name."""
    acked = dict(connection.execute("SELECT reader, seq FROM cursors WHERE reader != ?", (ALERTS_READER,)))
    buried = dict(connection.execute("SELECT sink, count(*) FROM dead_letters GROUP BY sink"))
    return [
        Reader(
            name,
            acked.get(name),
            pending_since(connection, acked[name]) if name in acked else None,
            buried.get(name, 0),
        )
        for name in sorted({*acked, *buried})
    ]


def forget(connection: Connection, reader: str) -> tuple[int, int]:
    """Drop a reader's cursor and dead letters; return how many there were of each."""
    cursors = connection.execute("DELETE FROM cursors WHERE reader = ?", (reader,)).rowcount
    return cursors, connection.execute("DELETE FROM dead_letters WHERE sink = ?", (reader,)).rowcount
