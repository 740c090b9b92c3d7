"""What the store wants of a database: one SQL, which SQLite and PostgreSQL both read.

Where they differ, the statement is in SQLite's words and `in_postgres.py` turns it, or the connection has a method.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from streamer.errors import StoreError

ASK_FOR_LESS = "ask for less: for an id, a name, a flow, a deployment, tags or a state"


class Rows(Protocol):
    """What a statement has found or done."""

    def __iter__(self) -> Iterator[Any]:
        """Yield the rows."""
        ...

    def fetchone(self) -> Any:
        """Return the next row; None if there is none."""
        ...

    def fetchall(self) -> list[Any]:
        """Return the rows that are left."""
        ...

    @property
    def rowcount(self) -> int:
        """Return how many rows were written."""
        ...


class Connection(Protocol):
    """A connection to the database."""

    def execute(self, query: str, parameters: Sequence[Any] | Mapping[str, Any] = (), /) -> Rows:
        """Execute one statement, with `?`, `?1` or `:name` where its parameters stand."""
        ...

    def executemany(self, query: str, parameters: Iterable[Sequence[Any]], /) -> Any:
        """Execute one statement for each of these."""
        ...

    def newest_seq(self) -> int:
        """Return the newest `seq` ever given, also when the records themselves were pruned."""
        ...

    def given(self, seq: int) -> None:
        """Note that a `seq` was given, by who inserted the record."""
        ...

    def bytes_used(self) -> int:
        """Return what is in use of the disk."""
        ...

    def at_most(self, seconds: float) -> AbstractContextManager[None]:
        """Give up what takes longer in the block: raise `StoreError`."""
        ...


def refuse_newer(version: int, newest: int) -> None:
    """Raise for a store that a newer version of this program made: its schema is beyond the newest we know."""
    if version > newest:
        raise StoreError(
            f"the store has schema version {version}, and this program knows {newest}",
            hint="run the newer version of streamer that wrote it, or start with another --store",
        )
