"""The store that tests open: SQLite's, or, told `--on-postgres`, one in PostgreSQL with a schema for each path."""

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any

from streamer.counting import Counting
from streamer.store import migrations, postgres_schema
from streamer.store.connection import SqliteConnection
from streamer.store.postgres import DatabasePlace
from streamer.store.postgres_connection import PostgresConnection
from streamer.store.sql import SqlStore
from streamer.store.sqlite import SqliteStore


class Postgres:
    """Where PostgreSQL is, if tests are on it."""

    url: str | None = None


def open_store(path: Path, *, counting: Counting | None = None) -> SqlStore:
    """Open the store that belongs to a path, the same each time."""
    if Postgres.url:
        return DatabasePlace.of(f"{Postgres.url}?schema={_schema(path)}").open(counting=counting)
    return SqliteStore.open(path, counting=counting)


def bare() -> SqliteConnection | PostgresConnection:
    """Return a connection to tables with nothing in them."""
    if not Postgres.url:
        memory = sqlite3.connect(":memory:", isolation_level=None, factory=SqliteConnection)
        migrations.migrate(memory)
        return memory
    connection = PostgresConnection(Postgres.url, schema="bare")
    postgres_schema.migrate(connection, "bare")
    for (table,) in connection.raw.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'bare'").fetchall():
        if table not in ("meta", "newest", "lease"):
            connection.raw.execute(f"DELETE FROM {table}")
    return connection


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    """Return what any statement yields, executed beside the store."""
    with _beside(path) as connection:
        found = connection.execute(query)
        return found.fetchall() if found.description else []


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Keep what is written meanwhile from being committed, until the end of the block."""
    with _beside(path) as connection:
        connection.execute("BEGIN" if Postgres.url else "BEGIN IMMEDIATE")
        if Postgres.url:
            connection.execute("LOCK TABLE records IN EXCLUSIVE MODE")
        yield
        connection.execute("COMMIT")


@contextmanager
def full(path: Path) -> Iterator[None]:
    """Refuse what is appended meanwhile: the disk is full."""
    with _beside(path) as connection:
        if Postgres.url:
            body = "BEGIN RAISE EXCEPTION 'disk is full'; END"
            connection.execute(f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$")
        refusing = "EXECUTE FUNCTION refuse()" if Postgres.url else "BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
        connection.execute(f"CREATE TRIGGER is_full BEFORE INSERT ON segments {refusing}")
        yield
        connection.execute("DROP TRIGGER is_full" + (" ON segments" if Postgres.url else ""))


def _beside(path: Path) -> AbstractContextManager[Any]:
    if Postgres.url:
        return closing(PostgresConnection(Postgres.url, schema=_schema(path)).raw)
    return closing(sqlite3.connect(path, isolation_level=None))


def _schema(path: Path) -> str:
    return f"t{blake2b(str(path).encode(), digest_size=10).hexdigest()}"
