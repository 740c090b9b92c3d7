"""What alerts remember, and silences; what is in them only those know who put it here."""

import sqlite3
from collections.abc import Mapping

from streamer.model import Progress
from streamer.store import cursors


def advance(connection: sqlite3.Connection, progress: Progress) -> None:
    """Keep how far a reader has come, and what it remembers."""
    cursors.commit(connection, progress.reader, progress.seq)
    for key, body in progress.memory.items():
        if body is None:
            connection.execute("DELETE FROM alert_groups WHERE (rule, source, grp) = (?, ?, ?)", key)
        else:
            connection.execute("INSERT OR REPLACE INTO alert_groups VALUES (?, ?, ?, ?)", (*key, body))


def remembered(connection: sqlite3.Connection) -> dict[tuple[str, str, str], bytes]:
    """Return what is remembered, by key."""
    rows = connection.execute("SELECT rule, source, grp, body FROM alert_groups")
    return {(rule, source, group): body for rule, source, group, body in rows}


def silences(connection: sqlite3.Connection) -> Mapping[str, bytes]:
    """Return all silences by id."""
    return dict(connection.execute("SELECT id, body FROM silences"))


def put_silence(connection: sqlite3.Connection, ident: str, body: bytes) -> None:
    """Keep a silence."""
    connection.execute("INSERT OR REPLACE INTO silences VALUES (?, ?)", (ident, body))


def drop_silence(connection: sqlite3.Connection, ident: str) -> bool:
    """Forget a silence; tell whether there was one."""
    return connection.execute("DELETE FROM silences WHERE id = ?", (ident,)).rowcount > 0
