"""A time that a question may take."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from streamer.errors import StoreError

STEPS = 10_000
"""Of SQLite's machine between two looks at the clock: about a millisecond."""


@contextmanager
def at_most(seconds: float, connection: sqlite3.Connection) -> Iterator[None]:
    """Give up what takes longer: raise `StoreError`."""
    end = monotonic() + seconds
    connection.set_progress_handler(lambda: monotonic() > end, STEPS)
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        hint = "ask for less: for an id, a name, a flow, a deployment, tags or a state"
        raise StoreError(f"the answer was not found within {seconds:g} s", hint) from error
    finally:
        connection.set_progress_handler(None, 0)
