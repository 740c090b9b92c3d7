"""The store in PostgreSQL, for more than one machine: `postgresql://user@host/database?schema=NAME`.

What SQLite's lock is to the embedded store, a lease is here. A commit whose answer was lost with the connection is
looked up by its transaction's number, so that nothing is taken for failed that was written.
"""

import asyncio
import re
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import psycopg

from streamer.counting import Counting
from streamer.errors import ConfigError, StoreError
from streamer.store.engine import Connection
from streamer.store.lock import RunningService
from streamer.store.postgres_connection import PostgresConnection, in_words
from streamer.store.postgres_lease import Lease, leader
from streamer.store.postgres_schema import migrate, require_known, schema_version
from streamer.store.sql import WRITER, SqlStore

SCHEMA = "streamer"
SIZE_SECONDS = 60.0

ENDING_SECONDS = 0.1
"""Between two looks at a transaction whose connection is lost: the server ends it soon."""

T = TypeVar("T")


class Doubt(NamedTuple):
    """A piece of work whose transaction has this number, and what it returned, if that was committed."""

    work: Callable[[Connection], Any]
    number: str
    done: Any


class PostgresStore(SqlStore):
    """The `Store` in a schema of a database. Open it with `open` or `open_read_only`."""

    def __init__(self, url: str, schema: str, lease: Lease | None, counting: Counting | None = None) -> None:
        super().__init__(counting)
        self._url, self._schema = url, schema
        self._lease = lease
        self._connections: dict[str, PostgresConnection] = {}
        self._size = (-SIZE_SECONDS, 0)
        self._doubt: Doubt | None = None

    @classmethod
    def open(cls, url: str, *, address: str = "", counting: Counting | None = None) -> "PostgresStore":
        """Take the lease and open the store, made or brought up to date as needed; `address` is told to others."""
        url, schema = where(url)
        lease = Lease(url, schema, address=address)
        with in_words("open"), ExitStack() as undo:
            writer = undo.enter_context(closing(PostgresConnection(url, schema=schema)))
            migrate(writer, schema)
            lease.acquire(writer)
            store = cls(url, schema, lease, counting)
            store._connections[WRITER] = writer
            undo.pop_all()
            return store

    @classmethod
    def open_read_only(cls, url: str) -> "PostgresStore":
        """Open an existing store beside the service that writes it."""
        url, schema = where(url)
        with in_words("open"), closing(PostgresConnection(url, schema=schema, read_only=True)) as reader:
            if not (version := schema_version(reader)):
                raise StoreError(f"there is no store in the schema {schema}", hint="start `streamer run` on it first")
            require_known(version)
        return cls(url, schema, None)

    @property
    def token(self) -> str:
        """Return what proves that a command comes from somebody who may write the store."""
        return self._lease.token if self._lease else ""

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
            connection = PostgresConnection(self._url, schema=self._schema, read_only=thread != WRITER)
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


def is_there(url: str) -> bool:
    """Tell whether there is a store."""
    url, schema = where(url)
    with in_words("open"), closing(PostgresConnection(url, schema=schema, read_only=True)) as reader:
        return schema_version(reader) > 0


def running_service(url: str) -> RunningService | None:
    """Return the service that has the lease; None when none does."""
    url, schema = where(url)
    with in_words("open"), closing(PostgresConnection(url, schema=schema, read_only=True)) as reader:
        return leader(reader) if schema_version(reader) else None


def where(url: str) -> tuple[str, str]:
    """Return the URL as libpq takes it, and the schema; raise `ConfigError` for what is no name of one."""
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    schema = options.pop("schema", SCHEMA)
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", schema):
        raise ConfigError(f"{schema!r} is no name of a schema", hint="use small letters, digits and _")
    return urlunsplit(parts._replace(query=urlencode(options))), schema
