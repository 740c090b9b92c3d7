"""What the store forgets, in steps short enough for appends to go on between them.

Records go by when they came, up to the slowest reader; beyond it only when the store is too large, and then the reader
is told. Ids outlive their records until a horizon, so that what is read again is not counted again; what occurred
before the horizon and comes now is dropped, since nobody can say whether it was counted.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from streamer.model import Pruned, Retention
from streamer.store import beats, finishes, ledger
from streamer.store.engine import Connection
from streamer.timestamps import to_micros

STEP_SEGMENTS = 64
STEP_ROWS = 2_000
IDS_OUTLIVE_RECORDS = timedelta(days=1)
QUARANTINED_MOST = 10_000
"""Frames are kept up to a megabyte each, so that their number is limited too."""


def prune(connection: Connection, keep: Retention, *, now: datetime, readers: Collection[str], ids: bool) -> Pruned:
    """Take one step inside the caller's transaction; all is done when it pruned nothing."""
    before = to_micros(now - keep.records)
    expired = {}
    up_to = _old_enough(connection, before, readers)
    if up_to is None and connection.bytes_used() > keep.size:
        up_to = _oldest(connection)
        expired = _pass_over(connection, readers, up_to) if up_to else {}
    records = _drop_records(connection, up_to) if up_to else 0
    return Pruned(
        records=records,
        runs=_drop_runs(connection, to_micros(now - keep.runs)),
        refused=_drop_refused(connection, before),
        ids=_drop_ids(connection, to_micros(now - keep.records - IDS_OUTLIVE_RECORDS)) if ids else 0,
        expired=expired,
    )


def _old_enough(connection: Connection, before: int, readers: Collection[str]) -> int | None:
    """Return up to which `seq` the oldest segments are old, and had by all readers."""
    cursors = [seq for reader, seq in connection.execute("SELECT reader, seq FROM cursors") if reader in readers]
    up_to = None
    for last, written in connection.execute(
        "SELECT last_seq, written FROM segments ORDER BY first_seq LIMIT ?", (STEP_SEGMENTS,)
    ):
        if written >= before or any(seq < last for seq in cursors):
            break
        up_to = last
    return up_to


def _oldest(connection: Connection) -> int | None:
    rows = connection.execute("SELECT last_seq FROM segments ORDER BY first_seq LIMIT ?", (STEP_SEGMENTS,)).fetchall()
    return rows[-1][0] if rows else None


def _pass_over(connection: Connection, readers: Collection[str], up_to: int) -> dict[str, int]:
    """Move the cursors that are before the end of what goes; return how many records each did not have."""
    missed = {}
    for reader in readers:
        query = (
            "SELECT count(*) FROM records JOIN cursors ON reader = ? AND records.seq > cursors.seq"
            " WHERE records.seq <= ?"
        )
        if number := connection.execute(query, (reader, up_to)).fetchone()[0]:
            missed[reader] = number
            connection.execute("UPDATE cursors SET seq = ? WHERE reader = ?", (up_to, reader))
    return missed


def _drop_records(connection: Connection, up_to: int) -> int:
    connection.execute("DELETE FROM segments WHERE last_seq <= ?", (up_to,))
    return connection.execute("DELETE FROM records WHERE seq <= ?", (up_to,)).rowcount


def _drop_runs(connection: Connection, before: int) -> int:
    old = "SELECT id FROM runs WHERE coalesce(deleted_at, ended_at) < ? LIMIT ?"
    gone = connection.execute(f"DELETE FROM runs WHERE id IN ({old}) RETURNING id", (before, STEP_ROWS)).fetchall()
    runs = [UUID(bytes=run) for (run,) in gone]
    beats.forget(connection, runs)
    finishes.forget(connection, runs)
    return len(gone)


def _drop_refused(connection: Connection, before: int) -> int:
    dropped = connection.execute("DELETE FROM quarantine WHERE arrived < ?", (before,)).rowcount
    newest = "SELECT key FROM quarantine ORDER BY arrived DESC LIMIT ?"
    query = f"DELETE FROM quarantine WHERE key NOT IN ({newest})"
    dropped += connection.execute(query, (QUARANTINED_MOST,)).rowcount
    return dropped + connection.execute("DELETE FROM dead_letters WHERE buried < ?", (before,)).rowcount


def _drop_ids(connection: Connection, before: int) -> int:
    """Move the horizons, as far as all before them was read, and forget the ids behind them."""
    dropped = 0
    moving = "UPDATE sources SET horizon = max(coalesce(horizon, 0), min(?, watermark)) WHERE watermark IS NOT NULL"
    connection.execute(moving, (before,))
    for source, horizon in connection.execute("SELECT id, horizon FROM sources WHERE horizon IS NOT NULL").fetchall():
        dropped += ledger.forget(connection, source, horizon, limit=STEP_ROWS)
        connection.execute("DELETE FROM breaks WHERE source = ? AND occurred < ?", (source, horizon))
    connection.execute("DELETE FROM phantoms WHERE occurred < (SELECT min(horizon) FROM sources)")
    return dropped
