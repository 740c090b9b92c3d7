"""The embedded store: one SQLite file."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TypeVar

from streamer.counting import Counting
from streamer.errors import StoreError
from streamer.store.connection import SqliteConnection, connect, in_words, size_on_disk, transaction
from streamer.store.engine import Connection
from streamer.store.lock import StoreLock
from streamer.store.migrations import migrate, require_known, schema_version
from streamer.store.sql import READERS, WRITER, SqlStore

T = TypeVar("T")


class SqliteStore(SqlStore):
    """The `Store` on one file. Open it with `open` or `open_read_only`."""

    def __init__(
        self,
        path: Path,
        connections: Mapping[str, SqliteConnection],
        lock: StoreLock,
        counting: Counting | None = None,
    ) -> None:
        super().__init__(counting)
        self.path = path
        self._lock = lock
        self._connections = connections

    @classmethod
    def open(cls, path: Path, *, address: str = "", counting: Counting | None = None) -> "SqliteStore":
        """Lock and open the store, made or brought up to date as needed; `address` is told to whom it shuts out."""
        lock = StoreLock(path)
        with in_words(path, "open"):
            path.parent.mkdir(parents=True, exist_ok=True)
            with ExitStack() as undo:
                lock.acquire(address=address)
                undo.callback(lock.release)
                writer = undo.enter_context(closing(connect(path)))
                migrate(writer)
                readers = {doing: connect(path, read_only=True) for doing in READERS}
                store = cls(path, {**readers, "write": writer}, lock, counting)
                undo.pop_all()
                return store

    @property
    def token(self) -> str:
        """Return what proves that a command comes from somebody who may write the store."""
        return self._lock.token

    @classmethod
    def open_read_only(cls, path: Path) -> "SqliteStore":
        """Open an existing store beside the service that runs on it; whatever would write is refused by SQLite."""
        if not path.exists():
            raise StoreError(f"there is no store at {path}", hint="start `streamer run`, or say which with --store")
        with in_words(path, "open"), ExitStack() as undo:
            readers = {
                doing: undo.enter_context(closing(connect(path, read_only=True))) for doing in (*READERS, WRITER)
            }
            require_known(schema_version(readers[WRITER]))
            undo.pop_all()
            return cls(path, readers, StoreLock(path))

    @property
    def leads(self) -> bool:
        """Tell whether we have the lock of the file."""
        return self._lock.is_held

    def bytes_on_disk(self) -> int:
        """Return how many bytes the store takes on the disk."""
        return size_on_disk(self.path)

    async def close(self) -> None:
        """Finish what was sent, close the file and give back the lock."""
        await super().close()
        self._lock.release()

    def _transact(self, work: Callable[[Connection], T]) -> T:
        with in_words(self.path, "write to"), transaction(self._connections[WRITER]) as connection:
            return work(connection)

    def _ask(self, work: Callable[[Connection], T], thread: str) -> T:
        with in_words(self.path, "read"):
            return work(self._connections[thread])

    def _let_go(self, thread: str) -> None:
        self._connections[thread].close()
