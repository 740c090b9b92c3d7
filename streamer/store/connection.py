"""Opening SQLite the way the store wants it, and saying in words what went wrong."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from streamer.errors import StoreError

_HINTS = (
    ("malformed", "the file is damaged: restore a backup with `streamer store restore`, or move it away"),
    ("not a database", "the file is no store: choose another --store, or move it away"),
    ("readonly", "make the file and its folder writable for this user"),
    ("unable to open", "make the folder, or make it readable and writable for this user"),
    ("disk is full", "free some space; nothing was half-written, and the next start goes on where this one stopped"),
    ("disk i/o", "look at the disk and the system log; nothing was half-written"),
    ("locked", "another program holds the store: stop it, then start again"),
)


@contextmanager
def in_words(path: Path, doing: str) -> Iterator[None]:
    """Translate SQLite's errors into `StoreError`, with what the operator can do."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        text = str(error)
        hint = next((hint for sign, hint in _HINTS if sign in text.lower()), None)
        raise StoreError(f"cannot {doing} the store {path}: {text}", hint) from error


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Return a connection in autocommit mode; the writer's syncs each commit to the disk."""
    mode = "ro" if read_only else "rwc"
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False, timeout=10
    )
    if not read_only:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA cache_size = -16000")
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Commit what the block wrote, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
