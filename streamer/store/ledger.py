"""Every event id a source has shown, whether it was kept, passed over, or refused: the gate, and what audits count.

The server's totals are by name, so the ledger is too: `class` tells heartbeats from the rest, and `on_server` is false
of what the server does not have (we made it, or it was lost before the server wrote it).
"""

import sqlite3
from collections.abc import Collection, Sequence
from uuid import UUID

import orjson

from schemas.event import FLOW_RUN_PREFIX
from schemas.flow_run import HEARTBEAT_NAME

EVENT, HEARTBEAT, OUTSIDE = range(3)

Entry = tuple[bytes, int, str]
"""An event's id, when it occurred in microseconds, and its name."""


def admit(connection: sqlite3.Connection, source_id: int, entries: Sequence[Entry], *, on_server: bool) -> set[bytes]:
    """Enter the ids; return those that were not there."""
    if not entries:
        return set()
    ids = b"".join(entry[0] for entry in entries)
    rows = orjson.dumps([[occurred, _class(name)] for _, occurred, name in entries]).decode()
    new = connection.execute(
        "INSERT INTO ledger (id, source, occurred, class, on_server)"
        " SELECT substr(?1, 16 * key + 1, 16), ?2, json_extract(value, '$[0]'), json_extract(value, '$[1]'), ?3"
        " FROM json_each(?4) WHERE true ON CONFLICT DO NOTHING RETURNING id",
        (ids, source_id, on_server, rows),
    )
    fresh = {row[0] for row in new}
    if on_server and len(fresh) < len(entries):
        _set_on_server(connection, ids, present=True)
    return fresh


def count(connection: sqlite3.Connection, source_id: int, start: int, last: int) -> int:
    """Return how many events but heartbeats the server is known to have between two times, both included."""
    found: int = connection.execute(f"SELECT count(*) {_IN_WINDOW}", (source_id, start, last)).fetchone()[0]
    return found


def ids(connection: sqlite3.Connection, source_id: int, start: int, last: int) -> set[UUID]:
    """Return the ids that `count` counts."""
    rows = connection.execute(f"SELECT id {_IN_WINDOW}", (source_id, start, last))
    return {UUID(bytes=row[0]) for row in rows}


def absent(connection: sqlite3.Connection, missing: Collection[UUID]) -> None:
    """Note that the server does not have these."""
    _set_on_server(connection, b"".join(each.bytes for each in missing), present=False)


def known(connection: sqlite3.Connection, wanted: Collection[UUID]) -> set[UUID]:
    """Return which of these ids are in the ledger."""
    joined = b"".join(each.bytes for each in wanted)
    rows = connection.execute(
        "SELECT id FROM ledger WHERE id IN (SELECT substr(?1, 16 * value + 1, 16) FROM json_each(?2))",
        (joined, _numbers(joined)),
    )
    return {UUID(bytes=row[0]) for row in rows}


_IN_WINDOW = f"FROM ledger WHERE source = ? AND class = {EVENT} AND on_server = 1 AND occurred BETWEEN ? AND ?"


def _set_on_server(connection: sqlite3.Connection, joined: bytes, *, present: bool) -> None:
    connection.execute(
        "UPDATE ledger SET on_server = ?1 WHERE on_server != ?1"
        " AND id IN (SELECT substr(?2, 16 * value + 1, 16) FROM json_each(?3))",
        (present, joined, _numbers(joined)),
    )


def _numbers(joined: bytes) -> str:
    """Return the numbers of the ids in a blob of them, for `json_each`."""
    return orjson.dumps(list(range(len(joined) // 16))).decode()


def _class(name: str) -> int:
    """Tell heartbeats apart exactly, but the prefix without regard to case, as the server's SQLite does."""
    if name == HEARTBEAT_NAME:
        return HEARTBEAT
    return EVENT if name.casefold().startswith(FLOW_RUN_PREFIX) else OUTSIDE
