"""Who writes the store in PostgreSQL: one process at a time, for as long as it says so every second.

Each that takes the lease gets a number, its fence, and every transaction that writes looks whether that still stands.
One that was frozen and wakes up finds another's: what it wanted to write is not written.
"""

import secrets
import socket
import threading
import time
from contextlib import suppress
from datetime import datetime
from os import getpid
from typing import Protocol

import psycopg
import structlog

from streamer.errors import LeaseError
from streamer.store.lock import RunningService
from streamer.store.postgres_connection import PostgresConnection

LASTS_SECONDS = 5.0
RENEWED_SECONDS = 1.0
ASKED_SECONDS = 0.2


class Connect(Protocol):
    """Makes connections to the store."""

    def __call__(self, *, read_only: bool = False) -> PostgresConnection:
        """Return a new connection."""
        ...


logger = structlog.get_logger(__name__)


class Lease:
    """The right to write. `acquire` it, and `require` it in each transaction."""

    def __init__(self, connect: Connect, *, address: str) -> None:
        self._connect = connect
        self._address = address
        self.token = secrets.token_urlsafe(32)
        self._fence = 0
        self._renewed = 0.0
        self._released = threading.Event()
        self._renewing = threading.Thread(target=self._keep_renewing, name="store-lease", daemon=True)

    @property
    def is_sure(self) -> bool:
        """Tell whether nobody else can have the lease yet, by our own clock: it was renewed a moment ago."""
        return time.monotonic() - self._renewed < LASTS_SECONDS

    def acquire(self, connection: PostgresConnection, *, waits: bool = True) -> None:
        """Take the lease and renew it from then on; raise `LeaseError` that says who has it if that one lives.

        One that was killed is waited for, if so told, since nothing else tells that it is gone.
        """
        until = _until(connection)
        while not (taken := self._try(connection)):
            time.sleep(ASKED_SECONDS if waits else 0)
            if not waits or _until(connection) > until:
                raise LeaseError(
                    f"the store is in use by {_holder(connection)}",
                    hint="stop that service first, or give this one its own --store",
                )
        self._fence = taken[0]
        self._renewing.start()

    def _try(self, connection: PostgresConnection) -> tuple[int] | None:
        connection.raw.execute(_END_FROZEN)
        self._renewed = time.monotonic()
        return connection.raw.execute(_ACQUIRE, (_name(), self._address, self.token, LASTS_SECONDS)).fetchone()

    def require(self, connection: PostgresConnection) -> str:
        """Return the number of this transaction, before whose end no other takes the lease; raise if one has it."""
        if (row := connection.raw.execute(_REQUIRE, (self._fence,)).fetchone()) is None:
            raise LeaseError(
                f"the store was taken over by {_holder(connection)}",
                hint="this process had not been heard of for too long",
            )
        number: str = row[0]
        return number

    def release(self) -> None:
        """Let another take the lease at once."""
        self._released.set()
        if self._renewing.is_alive():
            self._renewing.join()

    def _keep_renewing(self) -> None:
        connection: PostgresConnection | None = None
        while not self._released.wait(RENEWED_SECONDS):
            try:
                connection = connection or self._connect()
                begun = time.monotonic()
                if connection.raw.execute(_RENEW, (LASTS_SECONDS, self._fence)).rowcount:
                    self._renewed = begun
            except psycopg.Error as error:
                logger.warning("cannot renew the lease of the store", error=str(error))
                _close(connection)
                connection = None
        with suppress(psycopg.Error):
            connection = connection or self._connect()
            connection.raw.execute(_RENEW, (0, self._fence))
        _close(connection)


def leader(connection: PostgresConnection) -> RunningService | None:
    """Return the service that has the lease now; None when none has, or it does not listen."""
    found = connection.raw.execute("SELECT address, token FROM lease WHERE until > clock_timestamp()").fetchone()
    return RunningService(*found) if found and found[0] else None


def _until(connection: PostgresConnection) -> datetime:
    until: datetime = connection.raw.execute("SELECT until FROM lease").fetchall()[0][0]
    return until


def _close(connection: PostgresConnection | None) -> None:
    if connection:
        connection.close()


def _holder(connection: PostgresConnection) -> str:
    holder, address = connection.raw.execute("SELECT holder, address FROM lease").fetchone() or ("", "")
    return f"process {holder}" + (f", which listens on {address}" if address else "")


def _name() -> str:
    return f"{getpid()} on {socket.gethostname()}"


_END_FROZEN = """
    SELECT pg_terminate_backend(pid) FROM pg_locks, lease
    WHERE until <= clock_timestamp() AND relation = 'lease'::regclass AND mode = 'RowShareLock'
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND pid <> pg_backend_pid()
"""
"""Who was frozen in the middle of a transaction still keeps others from the lease."""

_ACQUIRE = """
    UPDATE lease SET fence = fence + 1, holder = %s, address = %s, token = %s,
        until = clock_timestamp() + %s * interval '1 second'
    WHERE until <= clock_timestamp() RETURNING fence
"""
_REQUIRE = "SELECT pg_current_xact_id()::text FROM lease WHERE fence = %s FOR SHARE"
_RENEW = "UPDATE lease SET until = clock_timestamp() + %s * interval '1 second' WHERE fence = %s"
