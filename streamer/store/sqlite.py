"""The embedded store: one SQLite file, one writer thread, readers beside it.

A write is a function sent to the writer thread, and one transaction; it is on the disk when it returns.
"""

import asyncio
import sqlite3
import time
from collections import Counter as Tally
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import orjson
import zstandard

from schemas import Event, InvalidEvent, StateType
from streamer.errors import StoreError
from streamer.model import (
    Appended,
    Counter,
    Cursor,
    Family,
    Frame,
    Net,
    Record,
    RunState,
    SourceState,
    Totals,
)
from streamer.store import appending, holes, ledger, quarantine, run_rows, segments
from streamer.store.appending import Batch
from streamer.store.connection import connect, in_words, size_on_disk, transaction
from streamer.store.lock import StoreLock
from streamer.store.migrations import migrate, require_known, schema_version
from streamer.timestamps import from_micros, to_micros

T = TypeVar("T")


class SqliteStore:
    """The `Store` on one file. Open it with `open` or `open_read_only`."""

    def __init__(self, path: Path, writer: sqlite3.Connection, reader: sqlite3.Connection, lock: StoreLock) -> None:
        self.path = path
        self._lock = lock
        # Closed in this order: only a writer that leaves last folds SQLite's log back into the file.
        self._connections = {"read": reader, "write": writer}
        self._threads = {doing: ThreadPoolExecutor(1, f"store-{doing}") for doing in self._connections}
        self._sources: dict[str, tuple[int, SourceState]] = {}

    @classmethod
    def open(cls, path: Path, *, address: str = "") -> "SqliteStore":
        """Lock and open the store, made or brought up to date as needed; `address` is told to whom it shuts out."""
        lock = StoreLock(path)
        with in_words(path, "open"):
            path.parent.mkdir(parents=True, exist_ok=True)
            with ExitStack() as undo:
                lock.acquire(address=address)
                undo.callback(lock.release)
                writer = undo.enter_context(closing(connect(path)))
                migrate(writer)
                store = cls(path, writer, connect(path, read_only=True), lock)
                undo.pop_all()
                return store

    @classmethod
    def open_read_only(cls, path: Path) -> "SqliteStore":
        """Open an existing store beside the service that runs on it; whatever would write is refused by SQLite."""
        if not path.exists():
            raise StoreError(f"there is no store at {path}", hint="start `streamer run`, or say which with --store")
        with in_words(path, "open"), ExitStack() as undo:
            reader = undo.enter_context(closing(connect(path, read_only=True)))
            require_known(schema_version(reader))
            undo.pop_all()
            return cls(path, reader, reader, StoreLock(path))

    async def open_source(self, name: str, *, identity: str, now: datetime) -> SourceState:
        """Return the source, made with epoch `now` the first time; another identity under the name is refused."""

        def work(connection: sqlite3.Connection) -> tuple[int, SourceState]:
            connection.execute(
                "INSERT INTO sources (name, identity, epoch) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (name, identity, to_micros(now)),
            )
            return _source(connection, name)

        number, state = await self._write(work)
        if state.identity != identity:
            raise StoreError(
                f"in this store, the source {name!r} is {state.identity}, not {identity}",
                hint="give the other server its own --store; if it is the same one under a new address,"
                f" run `streamer store adopt {identity}`",
            )
        self._sources[name] = (number, state)
        return state

    async def append(
        self,
        source: str,
        events: Sequence[Event],
        *,
        net: Net,
        passed_over: Sequence[Event] = (),
        watermark: datetime | None = None,
    ) -> Appended:
        """Keep the events whose id is new, with all that follows from them."""
        number, state = self._sources[source]
        batch = Batch(events, net, passed_over, watermark)
        return await self._write(lambda connection: appending.append(connection, number, state, batch))

    async def known(self, ids: Collection[UUID]) -> set[UUID]:
        """Return which of these ids are in the ledger."""
        return await self._read(lambda connection: ledger.known(connection, ids))

    async def unfinished(self, source: str) -> Mapping[UUID, StateType]:
        """Return the runs of a source that have not ended, as far as we know, and were not deleted."""
        number = self._sources[source][0]
        return await self._read(lambda connection: run_rows.unfinished(connection, number))

    async def holes(self, source: str, before: datetime, limit: int) -> Mapping[UUID, UUID]:
        """Return what transitions from before a time follow but we do not have, with the run it is missing from."""
        number = self._sources[source][0]
        return await self._read(lambda connection: holes.older_than(connection, number, to_micros(before), limit))

    async def forget_holes(self, looked_into: Collection[UUID]) -> None:
        """Forget these holes: they were looked into, and what could be found is committed."""
        await self._write(lambda connection: holes.forget(connection, looked_into))

    async def epochs(self) -> Mapping[str, datetime]:
        """Return the epoch of each source that was ever opened."""
        return await self._read(
            lambda connection: {
                name: from_micros(epoch) for name, epoch in connection.execute("SELECT name, epoch FROM sources")
            }
        )

    async def after(self, seq: int, limit: int) -> Sequence[Record]:
        """Return at most `limit` records beyond `seq`, in order."""
        return await self._read(lambda connection: segments.read(connection, beyond=seq, limit=limit))

    async def head(self) -> int:
        """Return the newest `seq` ever given, 0 for an empty log."""
        return await self._read(appending.newest_seq)

    async def cursor(self, reader: str, *, oldest: bool = False) -> Cursor:
        """Return the reader's cursor; a new reader's stands at the head, or before the oldest record."""

        def work(connection: sqlite3.Connection) -> Cursor:
            start = 0 if oldest else appending.newest_seq(connection)
            connection.execute("INSERT INTO cursors VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (reader, start, oldest))
            row = connection.execute("SELECT seq, oldest FROM cursors WHERE reader = ?", (reader,)).fetchone()
            return Cursor(row[0], bool(row[1]))

        return await self._write(work)

    async def commit(self, reader: str, seq: int) -> None:
        """Move the reader's cursor to what it has acknowledged."""
        await self._write(
            lambda connection: connection.execute("UPDATE cursors SET seq = ? WHERE reader = ?", (seq, reader))
        )

    async def bury(self, sink: str, record: Record, reason: str) -> None:
        """Keep a record that a sink refused for good."""
        body = zstandard.compress(record.event.raw)
        row = (sink, record.seq, record.source, reason, time.time_ns() // 1000, body)
        await self._write(
            lambda connection: connection.execute("INSERT OR REPLACE INTO dead_letters VALUES (?, ?, ?, ?, ?, ?)", row)
        )

    async def quarantine(self, frame: Frame, error: InvalidEvent) -> Totals:
        """Keep a frame that the schemas refused, once; return the counters that changed."""

        def work(connection: sqlite3.Connection) -> Totals:
            new = quarantine.keep(connection, frame, error, now=time.time_ns() // 1000)
            if frame.source in self._sources and (entry := quarantine.ledger_entry(frame.data)):
                ledger.admit(connection, self._sources[frame.source][0], [entry], on_server=True)
            raised = Tally({Counter(Family.QUARANTINED, frame.source, labels=(error.reason,)): new})
            return Totals(appending.raise_counters(connection, raised))

        return await self._write(work)

    async def count(self, source: str, start: int, last: int) -> int:
        """Return how many events but heartbeats the server is known to have, between two times, both included."""
        number = self._sources[source][0]
        return await self._read(lambda connection: ledger.count(connection, number, start, last))

    async def ids(self, source: str, start: int, last: int) -> set[UUID]:
        """Return the ids that `count` counts."""
        number = self._sources[source][0]
        return await self._read(lambda connection: ledger.ids(connection, number, start, last))

    async def absent(self, ids: Collection[UUID]) -> None:
        """Note that the server does not have these events; they are kept, and not counted in a window any more."""
        await self._write(lambda connection: ledger.absent(connection, ids))

    async def totals(self) -> Totals:
        """Return all counters and names."""

        def work(connection: sqlite3.Connection) -> Totals:
            rows = connection.execute("SELECT * FROM counters ORDER BY rowid")
            counts = {_counter(row): row[6] for row in rows}
            return Totals(counts, dict(connection.execute("SELECT id, name FROM names")))

        return await self._read(work)

    async def run(self, run: UUID) -> RunState | None:
        """Return what is known of a run."""
        return (await self._read(lambda connection: run_rows.load(connection, [run]))).get(run)

    async def size(self) -> int:
        """Return how many records there are."""
        return await self._read(lambda connection: _one(connection, "SELECT count(*) FROM records"))

    async def dead_letters(self, sink: str) -> int:
        """Return how many records a sink has refused for good."""
        query = "SELECT count(*) FROM dead_letters WHERE sink = ?"
        return await self._read(lambda connection: _one(connection, query, sink))

    def bytes_on_disk(self) -> int:
        """Return how many bytes the store takes on the disk."""
        return size_on_disk(self.path)

    async def compact(self) -> int:
        """Merge small pieces of the log; return how many were merged."""
        return await self._write(segments.merge)

    async def close(self) -> None:
        """Finish what was sent, close the file and give back the lock."""
        for doing, connection in self._connections.items():
            await asyncio.get_running_loop().run_in_executor(self._threads[doing], connection.close)
            self._threads[doing].shutdown()
        self._lock.release()

    async def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def run() -> T:
            with in_words(self.path, "write to"), transaction(self._connections["write"]) as connection:
                return work(connection)

        return await asyncio.get_running_loop().run_in_executor(self._threads["write"], run)

    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def run() -> T:
            with in_words(self.path, "read"):
                return work(self._connections["read"])

        return await asyncio.get_running_loop().run_in_executor(self._threads["read"], run)


def _source(connection: sqlite3.Connection, name: str) -> tuple[int, SourceState]:
    number, identity, epoch, watermark = connection.execute(
        "SELECT id, identity, epoch, watermark FROM sources WHERE name = ?", (name,)
    ).fetchone()
    known = None if watermark is None else from_micros(watermark)
    return number, SourceState(name, identity, from_micros(epoch), known)


def _one(connection: sqlite3.Connection, query: str, *values: str) -> int:
    number: int = connection.execute(query, values).fetchone()[0]
    return number


def _counter(row: tuple[Any, ...]) -> Counter:
    family, source, flow, deployment, work_pool, labels, _ = row
    return Counter(Family(family), source, flow, deployment, work_pool, tuple(orjson.loads(labels)))
