"""Where a store is: a file, or a schema of a PostgreSQL database; and who writes it now."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

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

    def open(self, *, address: str = "", counting: Counting | None = None) -> SqlStore:
        """Open the store as the one who writes it, made as needed; `address` is told to others."""
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

    def open(self, *, address: str = "", counting: Counting | None = None) -> SqlStore:
        """Open the store as the one who writes it."""
        return SqliteStore.open(self.path, address=address, counting=counting)

    def open_read_only(self) -> SqlStore:
        """Open the store beside the one who writes it."""
        return SqliteStore.open_read_only(self.path)

    def service(self) -> RunningService | None:
        """Return the service that has the file's lock."""
        return running_service(self.path)


@dataclass(frozen=True, slots=True)
class DatabasePlace:
    """A schema of a PostgreSQL database, such as `postgresql://user@host/database?schema=streamer`."""

    url: str

    def __post_init__(self) -> None:
        try:
            from streamer.store import postgres
        except ModuleNotFoundError as error:
            hint = "pip install 'prefect-streamer[postgres]'"
            raise ConfigError(f"a store in PostgreSQL needs {error.name}, which is not installed", hint) from error
        postgres.where(self.url)

    def __str__(self) -> str:
        parts = urlsplit(self.url)
        who = f"{parts.username}@" if parts.username else ""
        return f"postgresql://{who}{parts.netloc.rpartition('@')[2]}{parts.path}"

    def is_there(self) -> bool:
        """Tell whether the schema has a store."""
        from streamer.store import postgres

        return postgres.is_there(self.url)

    def open(self, *, address: str = "", counting: Counting | None = None) -> SqlStore:
        """Open the store as the one who writes it."""
        from streamer.store.postgres import PostgresStore

        return PostgresStore.open(self.url, address=address, counting=counting)

    def open_read_only(self) -> SqlStore:
        """Open the store beside the one who writes it."""
        from streamer.store.postgres import PostgresStore

        return PostgresStore.open_read_only(self.url)

    def service(self) -> RunningService | None:
        """Return the service that has the lease."""
        from streamer.store import postgres

        return postgres.running_service(self.url)
