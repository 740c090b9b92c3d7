"""What alerts remember, and silences; what is in them only those know who put it here."""

from collections.abc import Mapping

from streamer.model import Progress
from streamer.store import cursors
from streamer.store.engine import Connection

_REMEMBER = (
    "INSERT INTO alert_groups VALUES (?, ?, ?, ?) ON CONFLICT (rule, source, grp) DO UPDATE SET body = excluded.body"
)


def advance(connection: Connection, progress: Progress) -> None:
    """Keep how far a reader has come, and what it remembers."""
    cursors.commit(connection, progress.reader, progress.seq)
    for key, body in progress.memory.items():
        if body is None:
            connection.execute("DELETE FROM alert_groups WHERE (rule, source, grp) = (?, ?, ?)", key)
        else:
            connection.execute(_REMEMBER, (*key, body))


def remembered(connection: Connection) -> dict[tuple[str, str, str], bytes]:
    """Return what is remembered, by key."""
    rows = connection.execute("SELECT rule, source, grp, body FROM alert_groups")
    return {(rule, source, group): body for rule, source, group, body in rows}


def silences(connection: Connection) -> Mapping[str, bytes]:
    """Return all silences by id."""
    return dict(connection.execute("SELECT id, body FROM silences"))


def put_silence(connection: Connection, ident: str, body: bytes) -> None:
    """Keep a silence."""
    connection.execute(
        "INSERT INTO silences VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body", (ident, body)
    )


def drop_silence(connection: Connection, ident: str) -> bool:
    """Forget a silence; tell whether there was one."""
    return connection.execute("DELETE FROM silences WHERE id = ?", (ident,)).rowcount > 0
