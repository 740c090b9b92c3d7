"""`postgresql://user@host/db?table=NAME` — each record as a row of a table, once; the table is made on demand."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any
from urllib.parse import SplitResult

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import AfterValidator, ConfigDict, Field

from streamer.errors import ConfigError, Reject, Retry, SinkError
from streamer.model import Record
from streamer.sinks.formats import messages
from streamer.sinks.json_bodies import JsonOnly
from streamer.sinks.options import Login, Tls
from streamer.sinks.postgres_table import Table
from streamer.sinks.rows import Row

CONNECT_SECONDS = 10
MARGIN_SECONDS = 1
"""So much later than the server's own time-out comes ours, for a server that says nothing any more."""

_NAME = r"[a-z_][a-z0-9_]{0,39}"
_REFUSED = ("22", "23", "54")
"""Classes of SQLSTATE: data that cannot be stored, that breaks a constraint, or that is beyond a limit."""
_HINTS = {
    "42501": "once it takes CREATE on the schema, always INSERT and SELECT on the table",
    "3F000": "the table is made on demand, its schema is not",
}


def _known_to_libpq(name: str) -> str:
    try:
        make_conninfo(**{name: ""})
    except psycopg.ProgrammingError:
        raise ValueError("neither this sink nor libpq has such an option") from None
    return name


class PostgresSink:
    """Insert rows in one transaction a write, and over what is there already pass without a word."""

    class Options(JsonOnly, Login, Tls):
        """Where the server is, as whom to come, the `table`, `timeout` of a write in seconds, and any of libpq's."""

        model_config = ConfigDict(extra="allow")
        __pydantic_extra__: dict[Annotated[str, AfterValidator(_known_to_libpq)], str | int] = Field(init=False)

        host: str | None = None
        port: str | int | None = None
        database: str | None = None
        table: str = Field("flow_run_events", pattern=rf"^{_NAME}(\.{_NAME})?$")
        timeout: float = Field(30.0, gt=0)

        def conninfo(self) -> dict[str, Any]:
            """Return what to connect with; whoever names an authority wants the server's name verified against it."""
            named = {
                "host": self.host,
                "port": self.port,
                "dbname": self.database,
                "user": self.username,
                "password": self.secret(),
                "sslmode": "verify-full" if self.ca_file else None,
                "sslrootcert": self.ca_file,
                "sslcert": self.cert_file,
                "sslkey": self.key_file,
            }
            given = {name: value for name, value in named.items() if value is not None}
            return {"connect_timeout": CONNECT_SECONDS, **given, **(self.model_extra or {})}

    def __init__(self, options: Options) -> None:
        self._options = options
        self._encoder = options.encoder()
        self._table = Table(options.table)
        self._connection: psycopg.AsyncConnection[Any] | None = None

    @staticmethod
    def options_from(url: SplitResult) -> Mapping[str, Any]:
        """Return hosts, ports, database and credentials, as libpq reads them."""
        try:
            parts = conninfo_to_dict(f"postgresql://{url.netloc}{url.path}")
        except psycopg.ProgrammingError:
            hint = "write postgresql://user@host:5432/database?table=NAME, special characters as %XX"
            raise ConfigError("this is no address of a PostgreSQL database", hint) from None  # it may hold a password
        names = {"user": "username", "dbname": "database"}
        return {names.get(name, name): value for name, value in parts.items()}

    async def open(self) -> None:
        """Connect, and make the table or bring it to the newest version."""
        async with self._connected():
            pass

    async def write(self, records: Sequence[Record], /) -> None:
        """Insert what is not there yet; the ack is the COMMIT."""
        if not (rows := [Row.of(message) for message in messages(self._encoder, records)]):
            return
        async with self._connected() as connection:
            await self._table.insert(connection, rows, seconds=self._options.timeout)

    async def close(self) -> None:
        """Hang up."""
        if self._connection:
            await self._connection.close()
            self._connection = None

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        """Give the connection, a new one if there is none; whatever goes wrong, the next time has a new one."""
        connection, self._connection = self._connection, None
        more = MARGIN_SECONDS if connection else CONNECT_SECONDS
        try:
            async with asyncio.timeout(self._options.timeout + more):
                connection = connection or await self._connect()
                yield connection
            self._connection = connection
        except psycopg.Error as error:
            raise _translated(error) from error
        except TimeoutError as error:
            raise Retry(f"PostgreSQL did not answer within {self._options.timeout:g} s") from error
        finally:
            if connection and connection is not self._connection:
                await connection.close()

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        connection = await psycopg.AsyncConnection.connect(**self._options.conninfo(), autocommit=True)
        try:
            await self._table.prepare(connection)
        except BaseException:
            await connection.close()
            raise
        return connection


def _translated(error: psycopg.Error) -> SinkError:
    """Return what an error means for the records: refused for good, or not now."""
    said = error.diag.message_primary or " ".join(str(error).split()) or type(error).__name__
    if (error.sqlstate or "")[:2] in _REFUSED or (isinstance(error, psycopg.DataError) and not error.sqlstate):
        return Reject(f"PostgreSQL refuses it: {said}")
    return Retry(f"PostgreSQL: {said}", hint=_HINTS.get(error.sqlstate or ""))
