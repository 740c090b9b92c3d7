"""What happened lately, minute by minute, and what did not go the usual way."""

from datetime import datetime

from streamer.reports import Lately, Oddities
from streamer.store import segments
from streamer.store.engine import Connection
from streamer.timestamps import to_micros

MINUTE = 60_000_000


def lately(connection: Connection, since: datetime) -> Lately:
    """Return how often runs came into which state, and how long those took that ended, by minute since a time."""
    moment = to_micros(since)
    first = segments.first_since(connection, moment)
    moved = connection.execute(
        "SELECT occurred / ?, to_type, count(*) FROM records"
        " WHERE seq >= ? AND occurred >= ? AND kind = 'transition' GROUP BY 1, 2",
        (MINUTE, first or 0, moment),
    )
    ended = connection.execute(
        "SELECT ended_at / ?, (ended_at - started_at) / 1000000, count(*) FROM runs"
        " WHERE coalesce(deleted_at, ended_at) >= ? AND ended_at >= started_at GROUP BY 1, 2",
        (MINUTE, moment),
    )
    return Lately(moved.fetchall() if first else (), ended.fetchall())


def oddities(connection: Connection) -> Oddities:
    """Return how many events the websocket did not bring, and how many frames are in quarantine."""
    recovered = connection.execute("SELECT coalesce(sum(value), 0) FROM counters WHERE family = 'recovered'")
    refused = connection.execute("SELECT count(*) FROM quarantine")
    return Oddities(recovered.fetchone()[0], refused.fetchone()[0])


def identity(connection: Connection) -> str:
    """Return what no other store is called."""
    found: str = connection.execute("SELECT value FROM meta WHERE key = 'uuid'").fetchone()[0]
    return found
