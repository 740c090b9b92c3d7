"""A connection to PostgreSQL that the store's SQL can be said to, and errors in words."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.types.numeric import Int8Dumper
from psycopg.types.string import StrDumper

from streamer.errors import StoreError
from streamer.store.engine import ASK_FOR_LESS
from streamer.store.postgres_dialect import parameters, statement

CONNECT_SECONDS = 10
SILENT_SECONDS = 10
"""How long a server may keep silent, as far as the network is to blame, before it is taken for lost."""

_NETWORK: dict[str, Any] = {
    "connect_timeout": CONNECT_SECONDS,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": SILENT_SECONDS * 1000,
}
_PASSING = ("08", "53", "57P")
"""Classes of SQLSTATE, of what may be over in a moment: the connection, the server's resources, its restart."""

_HINTS = (
    ("authentication failed", "look at the user and the password in the store's URL, PGPASSWORD or ~/.pgpass"),
    ("no password supplied", "give the password in PGPASSWORD or ~/.pgpass"),
    ("no pg_hba.conf entry", "let the server take this user from this address, or ask it with TLS: sslmode=require"),
    ("FATAL: database", "make the database first: `createdb`"),
    ("FATAL: role", "make the user first: `createuser`"),
    ("permission denied", "grant the store's user CREATE on the database, or make the schema and give it to this user"),
    ("could not extend file", "free some space on the server; nothing was half-written, and it goes on from there"),
    ("too many clients", "let the server have more connections: the store wants six"),
)


class PostgresConnection:
    """One connection, in autocommit mode; `schema` is where the store's tables are."""

    def __init__(self, url: str, *, schema: str, read_only: bool = False) -> None:
        settings = f"-c search_path={schema} -c jit=off -c default_transaction_read_only={'on' if read_only else 'off'}"
        self.raw = psycopg.connect(url, autocommit=True, options=settings, application_name="streamer", **_NETWORK)
        adapters = self.raw.adapters
        adapters.register_dumper(str, _Text)
        adapters.register_dumper(int, Int8Dumper)
        adapters.register_dumper(bool, _Bool)
        adapters.register_loader("numeric", _Number)

    def execute(self, query: str, given: Sequence[Any] | Mapping[str, Any] = (), /) -> psycopg.Cursor[Any]:
        """Execute one statement."""
        return self.raw.execute(statement(query), parameters(query, given))

    def executemany(self, query: str, rows: Iterable[Sequence[Any]], /) -> psycopg.Cursor[Any]:
        """Execute one statement for each of these, all sent at once."""
        cursor = self.raw.cursor()
        if rows := list(rows):
            cursor.executemany(statement(query), rows)
        return cursor

    def newest_seq(self) -> int:
        """Return the newest `seq` ever given, also when the records themselves were pruned."""
        row = self.raw.execute("SELECT seq FROM newest").fetchone()
        return row[0] if row else 0

    def given(self, seq: int) -> None:
        """Note that a `seq` was given; no sequence does this, as its numbers are seen before they are committed."""
        self.raw.execute("UPDATE newest SET seq = %s", (seq,))

    def bytes_used(self) -> int:
        """Return how many bytes events take, compressed: what tables take of the disk does not fall by itself."""
        row = self.raw.execute("SELECT coalesce(sum(octet_length(body)), 0) FROM segments").fetchone()
        return int(row[0]) if row else 0

    def bytes_on_disk(self) -> int:
        """Return what the store's tables and indexes take of the server's disk."""
        row = self.raw.execute(_BYTES_ON_DISK).fetchone()
        return int(row[0]) if row else 0

    def status_of(self, transaction: str) -> str:
        """Return whether a transaction was `committed` or `aborted`, or is `in progress`, by its number."""
        row = self.raw.execute("SELECT pg_xact_status(%s::xid8)", (transaction,)).fetchone()
        return str(row[0]) if row else ""

    @contextmanager
    def at_most(self, seconds: float) -> Iterator[None]:
        """Give up a statement that takes longer: raise `StoreError`."""
        self.raw.execute(f"SET statement_timeout = {math.ceil(seconds * 1000)}")
        try:
            yield
        except psycopg.errors.QueryCanceled as error:
            raise StoreError(f"the answer was not found within {seconds:g} s", ASK_FOR_LESS) from error
        finally:
            if not self.raw.closed:
                self.raw.execute("RESET statement_timeout")

    def close(self) -> None:
        """Disconnect."""
        self.raw.close()


_BYTES_ON_DISK = """
    SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'
"""


@contextmanager
def in_words(doing: str) -> Iterator[None]:
    """Translate PostgreSQL's errors into `StoreError`, with what the operator can do."""
    try:
        yield
    except psycopg.Error as error:
        state, told = error.sqlstate or "", " ".join(str(error).split())
        hint = next((hint for sign, hint in _HINTS if sign in told), None)
        may_pass = state.startswith(_PASSING) or (not state and isinstance(error, psycopg.OperationalError))
        raise StoreError(f"cannot {doing} the store in PostgreSQL: {told}", hint, may_pass=may_pass) from error


class _Text(StrDumper):
    """PostgreSQL's texts have no NUL, which names and messages of runs may have, as such or escaped in JSON."""

    def dump(self, obj: str) -> Buffer | None:
        if "\0" in obj or "\\u0000" in obj:
            obj = obj.replace("\0", "\ufffd").replace("\\u0000", "\\ufffd")
        return super().dump(obj)


class _Bool(Int8Dumper):
    """The store keeps truth as 0 and 1, as SQLite does."""

    def dump(self, obj: bool) -> Buffer | None:
        return super().dump(int(obj))


class _Number(Loader):
    """Sums of integers are integers, averages are not."""

    def load(self, data: Buffer) -> int | float:
        text = bytes(data).decode()
        return float(text) if "." in text else int(text)
