"""Where a store is: a file, or a schema of a PostgreSQL database; and who writes it now."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from streamer.counting import Counting
from streamer.errors import ConfigError
from streamer.store.lock import RunningService, running_service
from streamer.store.sql import SqlStore
from streamer.store.sqlite import SqliteStore


class Place(Protocol):
    """A place for a store. As a text, it has no secrets."""

    def is_there(self) -> bool:
        """Tell whether a store was made there."""
        ...

    def open(self, *, address: str = "", counting: Counting | None = None, waits: bool = True) -> SqlStore:
        """Open the store as the one who writes it, made as needed; `address` is told to others.

        If it `waits`, then for a writer that was killed, where nothing tells that at once.
        """
        ...

    def open_read_only(self) -> SqlStore:
        """Open the store, which must be there, beside the one who writes it."""
        ...

    def service(self) -> RunningService | None:
        """Return the service that writes the store; None when none does."""
        ...


@dataclass(frozen=True, slots=True)
class FilePlace:
    """A file of SQLite."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def is_there(self) -> bool:
        """Tell whether there is a file."""
        return self.path.exists()

    def open(self, *, address: str = "", counting: Counting | None = None, waits: bool = True) -> SqlStore:  # noqa: ARG002
        """Open the store as the one who writes it."""
        return SqliteStore.open(self.path, address=address, counting=counting)

    def open_read_only(self) -> SqlStore:
        """Open the store beside the one who writes it."""
        return SqliteStore.open_read_only(self.path)

    def service(self) -> RunningService | None:
        """Return the service that has the file's lock."""
        return running_service(self.path)


def place_of(url: str) -> Place:
    """Return the place for a URL of PostgreSQL; raise `ConfigError` if that is no place, or the extra is missing."""
    try:
        from streamer.store.postgres import DatabasePlace
    except ModuleNotFoundError as error:
        hint = "pip install 'prefect-streamer[postgres]'"
        raise ConfigError(f"a store in PostgreSQL needs {error.name}, which is not installed", hint) from error
    return DatabasePlace.of(url)
