"""Every event id a source has shown, whether it was kept, passed over, or refused: the gate, and what audits count.
But heartbeats that were kept: see `beats.py`.

The server's totals are by name, so the ledger is too: `class` tells heartbeats from the rest, and `on_server` is false
of what the server does not have (we made it, or it was lost before the server wrote it). `net` brought it first.
"""

from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

import orjson

from schemas.event import FLOW_RUN_PREFIX
from schemas.flow_run import HEARTBEAT_NAME
from streamer.model import Net
from streamer.store.engine import Connection
from streamer.store.many import THESE, joined

EVENT, HEARTBEAT, OUTSIDE = CLASSES = range(3)
NETS = tuple(Net)

Entry = tuple[UUID, int, str]
"""An event's id, when it occurred in microseconds, and its name."""


def admit(connection: Connection, source_id: int, entries: Sequence[Entry], net: Net) -> set[bytes]:
    """Enter the ids; return those that were not there, as bytes."""
    if not entries:
        return set()
    ids = [entry[0] for entry in entries]
    rows = orjson.dumps([[occurred, _class(name)] for _, occurred, name in entries]).decode()
    on_server = net is not Net.STATES
    new = connection.execute(
        "INSERT INTO ledger (id, source, occurred, class, on_server, net)"
        " SELECT substr(?1, 16 * CAST(key AS INTEGER) + 1, 16), ?2, CAST(json_extract(value, '$[0]') AS BIGINT),"
        " CAST(json_extract(value, '$[1]') AS INTEGER), ?3, ?4"
        " FROM json_each(?5) WHERE true ON CONFLICT DO NOTHING RETURNING id",
        (joined(ids)[0], source_id, on_server, NETS.index(net), rows),
    )
    fresh = {row[0] for row in new}
    if on_server and len(fresh) < len(entries):
        _set_on_server(connection, ids, present=True)
    return fresh


def count(connection: Connection, source_id: int, start: int, last: int) -> int:
    """Return how many events but heartbeats the server is known to have between two times, both included."""
    found: int = connection.execute(f"SELECT count(*) {_IN_WINDOW}", (source_id, start, last)).fetchone()[0]
    return found


def ids(connection: Connection, source_id: int, start: int, last: int) -> set[UUID]:
    """Return the ids that `count` counts."""
    rows = connection.execute(f"SELECT id {_IN_WINDOW}", (source_id, start, last))
    return {UUID(bytes=row[0]) for row in rows}


def absent(connection: Connection, missing: Collection[UUID]) -> None:
    """Note that the server does not have these."""
    _set_on_server(connection, missing, present=False)


def known(connection: Connection, wanted: Collection[UUID]) -> set[UUID]:
    """Return which of these ids are in the ledger."""
    if not wanted:
        return set()
    rows = connection.execute(f"SELECT id FROM ledger WHERE id IN {THESE}", joined(wanted))
    return {UUID(bytes=row[0]) for row in rows}


def forget(connection: Connection, source_id: int, before: int, *, limit: int) -> int:
    """Drop ids of what occurred before a time, at most so many of each class; return how many went."""
    return sum(
        connection.execute(
            "DELETE FROM ledger WHERE id IN (SELECT id FROM ledger"
            " WHERE source = ? AND class = ? AND on_server = ? AND occurred < ? LIMIT ?)",
            (source_id, each, on_server, before, limit),
        ).rowcount
        for each in CLASSES
        for on_server in (True, False)
    )


def release(connection: Connection, ids: Iterable[UUID]) -> None:
    """Drop these ids, so that they can be admitted again."""
    connection.execute(f"DELETE FROM ledger WHERE id IN {THESE}", joined(ids))


_IN_WINDOW = f"FROM ledger WHERE source = ? AND class = {EVENT} AND on_server = 1 AND occurred BETWEEN ? AND ?"


def _set_on_server(connection: Connection, ids: Collection[UUID], *, present: bool) -> None:
    query = f"UPDATE ledger SET on_server = ?3 WHERE on_server != ?3 AND id IN {THESE}"
    connection.execute(query, (*joined(ids), present))


def _class(name: str) -> int:
    """Tell heartbeats apart exactly, but the prefix without regard to case, as the server's SQLite does."""
    if name == HEARTBEAT_NAME:
        return HEARTBEAT
    return EVENT if name.casefold().startswith(FLOW_RUN_PREFIX) else OUTSIDE
