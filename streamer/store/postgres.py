"""The store in PostgreSQL, for more than one machine: `postgresql://user@host/database?schema=NAME`.

What SQLite's lock is to the embedded store, a lease is here. A commit whose answer was lost with the connection is
looked up by its transaction's number, so that nothing is taken for failed that was written.
"""

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import psycopg

from streamer.counting import Counting
from streamer.errors import ConfigError, StoreError
from streamer.store.engine import Connection
from streamer.store.lock import RunningService
from streamer.store.postgres_connection import PostgresConnection, in_words
from streamer.store.postgres_lease import Connect, Lease, leader
from streamer.store.postgres_schema import migrate, require_current, require_known, schema_version
from streamer.store.sql import WRITER, SqlStore

SCHEMA = "streamer"
SIZE_SECONDS = 60.0
HELD_SECONDS = 1.0

ENDING_SECONDS = 0.1
"""Between two looks at a transaction whose connection is lost: the server ends it soon."""

T = TypeVar("T")


class Doubt(NamedTuple):
    """A piece of work whose transaction has this number, and what it returned, if that was committed."""

    work: Callable[[Connection], Any]
    number: str
    done: Any


class PostgresStore(SqlStore):
    """The `Store` in a schema of a database; without a lease, it is only read. `DatabasePlace` opens it."""

    def __init__(
        self,
        connect: Connect,
        lease: Lease | None = None,
        counting: Counting | None = None,
        *,
        writer: PostgresConnection | None = None,
    ) -> None:
        super().__init__(counting)
        self._connect = connect
        self._lease = lease
        self._connections = {WRITER: writer} if writer else {}
        self._size = (-SIZE_SECONDS, 0)
        self._doubt: Doubt | None = None

    @property
    def token(self) -> str:
        """Return what proves that a command comes from somebody who may write the store."""
        return self._lease.token if self._lease else ""

    @property
    def leads(self) -> bool:
        """Tell whether we have the lease, and had word of it a moment ago."""
        return self._lease is not None and self._lease.is_sure

    async def hold(self) -> None:
        """Look every second whether the lease is still ours; raise `LeaseError` once another has it."""
        while True:
            await self._write(lambda _: None)
            await asyncio.sleep(HELD_SECONDS)

    def bytes_on_disk(self) -> int:
        """Return how many bytes the store took of the server's disk when it was last asked, a minute ago at most."""
        return self._size[1]

    async def close(self) -> None:
        """Finish what was sent, disconnect, and let another have the lease."""
        try:
            await super().close()
        finally:
            if self._lease:
                await asyncio.to_thread(self._lease.release)

    def _transact(self, work: Callable[[Connection], T]) -> T:
        if not self._lease:
            raise StoreError("the store was opened to be read only")
        with in_words("write to"):
            doubt, self._doubt = self._doubt, None
            if doubt and doubt.work is work and self._was_committed(doubt):
                known: T = doubt.done
                return known
            connection = self._connected(WRITER)
            with connection.raw.transaction():
                number = self._lease.require(connection)
                done = work(connection)
                self._doubt = Doubt(work, number, done)
            self._doubt = None
            return done

    def _ask(self, work: Callable[[Connection], T], thread: str) -> T:
        with in_words("read"):
            connection = self._connected(thread)
            if thread == "report" and time.monotonic() - self._size[0] >= SIZE_SECONDS:
                self._size = (time.monotonic(), connection.bytes_on_disk())
            return work(connection)

    def _let_go(self, thread: str) -> None:
        if connection := self._connections.pop(thread, None):
            connection.close()

    def _connected(self, thread: str) -> PostgresConnection:
        """Return the connection of a thread; a new one in place of one that was lost."""
        connection = self._connections.get(thread)
        if connection is None or connection.raw.closed:
            connection = self._connect(read_only=thread != WRITER)
            self._connections[thread] = connection
        return connection

    def _was_committed(self, doubt: Doubt) -> bool:
        """Tell whether a transaction was committed whose end nobody told us of."""
        try:
            while (status := self._connected(WRITER).status_of(doubt.number)) == "in progress":
                time.sleep(ENDING_SECONDS)
        except psycopg.Error:
            self._doubt = doubt
            raise
        return status == "committed"


@dataclass(frozen=True, slots=True)
class DatabasePlace:
    """A schema of a database. As a text, it has no password."""

    url: str
    schema: str

    @classmethod
    def of(cls, url: str) -> "DatabasePlace":
        """Return the place for a URL, whose `schema` is ours and all else libpq's."""
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        schema = options.pop("schema", SCHEMA)
        if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", schema):
            raise ConfigError(f"{schema!r} is no name of a schema", hint="use small letters, digits and _")
        return cls(urlunsplit(parts._replace(query=urlencode(options, quote_via=quote))), schema)

    def __str__(self) -> str:
        parts = urlsplit(self.url)
        who = f"{parts.username}@" if parts.username else ""
        return f"postgresql://{who}{parts.netloc.rpartition('@')[2]}{parts.path}?schema={self.schema}"

    def is_there(self) -> bool:
        """Tell whether the schema has a store."""
        with self._looking() as reader:
            return schema_version(reader) > 0

    def open(self, *, address: str = "", counting: Counting | None = None, waits: bool = True) -> PostgresStore:
        """Take the lease and open the store, made or brought up to date as needed; `address` is told to others.

        If it `waits`, then for a writer that was killed, whose lease lasts yet.
        """
        lease = Lease(self.connect, address=address)
        with in_words("open"), ExitStack() as undo:
            writer = undo.enter_context(closing(self.connect()))
            if not schema_version(writer):
                migrate(writer, self.schema)
            require_known(schema_version(writer))
            lease.acquire(writer, waits=waits)
            undo.callback(lease.release)
            migrate(writer, self.schema)  # not before we lead: an older version may be at work
            undo.pop_all()
            return PostgresStore(self.connect, lease, counting, writer=writer)

    def open_read_only(self) -> PostgresStore:
        """Open an existing store beside the service that writes it."""
        with self._looking() as reader:
            if not (version := schema_version(reader)):
                raise StoreError(f"there is no store at {self}", hint="start `streamer run` on it first")
            require_current(version)
        return PostgresStore(self.connect)

    def service(self) -> RunningService | None:
        """Return the service that has the lease; None when none has, or there is no store."""
        with self._looking() as reader:
            return leader(reader) if schema_version(reader) else None

    def connect(self, *, read_only: bool = False) -> PostgresConnection:
        """Return a new connection."""
        return PostgresConnection(self.url, schema=self.schema, read_only=read_only)

    @contextmanager
    def _looking(self) -> Iterator[PostgresConnection]:
        with in_words("open"), closing(self.connect(read_only=True)) as reader:
            yield reader
