"""The table that the `postgres` sink fills: how it is made and brought to its newest version, and what goes in."""

import re
from collections.abc import Sequence
from typing import Any

from psycopg import AsyncConnection, sql

from streamer.sinks.rows import Row

MIGRATIONS = (
    """
    CREATE TABLE IF NOT EXISTS {table} (
        id uuid PRIMARY KEY,
        seq bigint NOT NULL,
        source text NOT NULL,
        kind text NOT NULL,
        event text NOT NULL,
        occurred timestamptz NOT NULL,
        received timestamptz,
        flow_run_id uuid,
        flow_run_name text,
        flow text,
        deployment text,
        work_pool text,
        work_queue text,
        from_type text,
        from_name text,
        to_type text,
        to_name text,
        run_count integer,
        tags text[] NOT NULL,
        record jsonb NOT NULL
    );
    CREATE INDEX IF NOT EXISTS {by_run} ON {table} (flow_run_id, occurred);
    CREATE INDEX IF NOT EXISTS {by_time} ON {table} (occurred);
    """,
)
"""Each takes the table from the version that is its index to the next; what was released is never changed."""


class Table:
    """A table by its name, with or without a schema. `id` is its key, as it is the log's: a repetition adds nothing."""

    def __init__(self, name: str) -> None:
        self._identifier = sql.Identifier(*name.split("."))
        self._short_name = name.rpartition(".")[2]

    async def prepare(self, connection: AsyncConnection[Any]) -> None:
        """Make the table or bring it to the newest version; those who do so at once take turns."""
        async with connection.transaction():
            name = self._identifier.as_string(connection)
            await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])
            for migration in MIGRATIONS[await self._version(connection) :]:
                await connection.execute(self._of_this_table(migration))
                await connection.execute(self._of_this_table(f"COMMENT ON TABLE {{table}} IS '{_comment()}'"))

    async def insert(self, connection: AsyncConnection[Any], rows: Sequence[Row], *, seconds: float) -> None:
        """Add the rows that are not there yet, all or none; no statement may take longer than `seconds`."""
        statement = sql.SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT (id) DO NOTHING").format(
            self._identifier,
            sql.SQL(", ").join(map(sql.Identifier, Row._fields)),
            sql.SQL(", ").join(sql.Placeholder() * len(Row._fields)),
        )
        async with connection.transaction(), connection.cursor() as cursor:
            await cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{seconds * 1000:.0f}"])
            await cursor.executemany(statement, rows)

    async def _version(self, connection: AsyncConnection[Any]) -> int:
        """Return the version that the table's comment tells; 0 without a table, or without its comment."""
        name = self._identifier.as_string(connection)
        cursor = await connection.execute("SELECT obj_description(to_regclass(%s), 'pg_class')", [name])
        row = await cursor.fetchone()
        told = re.search(r"prefect-streamer, version (\d+)", row[0] or "") if row else None
        return int(told[1]) if told else 0

    def _of_this_table(self, statement: str) -> sql.Composed:
        return sql.SQL(statement).format(
            table=self._identifier,
            by_run=sql.Identifier(f"{self._short_name}_flow_run_id_occurred"),
            by_time=sql.Identifier(f"{self._short_name}_occurred"),
        )


def _comment() -> str:
    return f"Flow-run events by prefect-streamer, version {len(MIGRATIONS)}"
