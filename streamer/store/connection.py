"""Opening SQLite the way the store wants it, and saying in words what went wrong."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from types import NoneType
from typing import Any
from urllib.parse import quote

from streamer.errors import StoreError
from streamer.store.engine import ASK_FOR_LESS

_HINTS = (
    ("malformed", "the file is damaged: restore a backup with `streamer store restore`, or move it away"),
    ("not a database", "the file is no store: choose another --store, or move it away"),
    ("readonly", "make the file and its folder writable for this user"),
    ("unable to open", "make the folder, or make it readable and writable for this user"),
    ("disk is full", "free some space; nothing was half-written, and it goes on where it stopped"),
    ("disk i/o", "look at the disk and the system log; nothing was half-written"),
    ("locked", "another program holds the store: stop it, then start again"),
    ("permission denied", "make the file and its folder readable and writable for this user"),
    ("read-only file system", "choose a --store on a file system that can be written"),
    ("no space left", "free some space; nothing was half-written, and it goes on where it stopped"),
    ("not a directory", "a part of the path is a file: choose another --store"),
    ("file exists", "a part of the path is a file: choose another --store"),
)

STEPS = 10_000
"""Of SQLite's machine between two looks at the clock: about a millisecond."""

PAGES_IN_LOG = 8_000
"""32 MB: of pages that many appends change, each is copied to the file once in so many, not at each append."""

# Python looks for how to adapt a value of these types, in vain and at each, unless it is told.
for _type in (bytes, NoneType):
    sqlite3.register_adapter(_type, lambda value: value)

_PASSING = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY})


@contextmanager
def in_words(path: Path, doing: str) -> Iterator[None]:
    """Translate SQLite's errors into `StoreError`, with what the operator can do."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        text = str(error)
        hint = next((hint for sign, hint in _HINTS if sign in text.lower()), None)
        raise StoreError(f"cannot {doing} the store {path}: {text}", hint, may_pass=_may_pass(error)) from error


def _may_pass(error: Exception) -> bool:
    """Tell whether the disk is full, failing or busy, which may be over in a moment."""
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _PASSING


class SqliteConnection(sqlite3.Connection):
    """SQLite, with what the store asks a database for."""

    def __init__(self, *where: Any, **how: Any) -> None:
        super().__init__(*where, **how)
        self.create_function("matches", 2, _matches, deterministic=True)

    def newest_seq(self) -> int:
        """Return the newest `seq` ever given, also when the records themselves were pruned."""
        row = self.execute("SELECT seq FROM sqlite_sequence WHERE name = 'records'").fetchone()
        return row[0] if row else 0

    def given(self, seq: int) -> None:
        """SQLite itself keeps which `seq` was the newest."""

    def bytes_used(self) -> int:
        """Return what is in use of the file, which does not shrink by itself."""
        size, pages, free = (
            self.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_size", "page_count", "freelist_count")
        )
        used: int = size * (pages - free)
        return used

    @contextmanager
    def at_most(self, seconds: float) -> Iterator[None]:
        """Give up what takes longer in the block: raise `StoreError`."""
        end = monotonic() + seconds
        self.set_progress_handler(lambda: monotonic() > end, STEPS)
        try:
            yield
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                raise
            raise StoreError(f"the answer was not found within {seconds:g} s", ASK_FOR_LESS) from error
        finally:
            self.set_progress_handler(None, 0)


def connect(path: Path, *, read_only: bool = False) -> SqliteConnection:
    """Return a connection in autocommit mode; the writer's syncs each commit to the disk."""
    mode = "ro" if read_only else "rwc"
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=10,
        factory=SqliteConnection,
    )
    try:
        if not read_only:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA wal_autocheckpoint = {PAGES_IN_LOG}")
        connection.execute("PRAGMA cache_size = -16000")
        connection.execute("PRAGMA temp_store = MEMORY")
    except BaseException:
        connection.close()
        raise
    return connection


def _matches(value: str | None, regex: str) -> bool:
    """Tell whether a regular expression matches all of a text."""
    return value is not None and re.fullmatch(regex, value, re.DOTALL) is not None


@contextmanager
def transaction(connection: SqliteConnection) -> Iterator[SqliteConnection]:
    """Commit what the block wrote, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def beside(path: Path, suffix: str) -> Path:
    """Return the path of a file that belongs to this one."""
    return path.with_name(path.name + suffix)


def size_on_disk(path: Path) -> int:
    """Return how many bytes the store takes: the file and SQLite's log beside it."""
    return sum(file.stat().st_size for file in (path, beside(path, "-wal")) if file.exists())
