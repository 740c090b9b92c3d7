"""The postgres sink against a real server: once each, over kills and among creators, and no password in an error."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import orjson
import psycopg
import pytest
import trustme
from psycopg import sql

from schemas import decode
from streamer import sinks
from streamer.errors import Reject, Retry
from streamer.model import Record, Sink
from streamer.sinks.rows import Row
from streamer.testing import an_event, check_sink, until
from tests.services.postgres_server import PASSWORD, PostgresServer, served

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def shared() -> Iterator[PostgresServer]:
    yield from served()


@pytest.fixture
def own() -> Iterator[PostgresServer]:
    """Give a server that may be killed."""
    yield from served()


@pytest.fixture
def table() -> str:
    return f"t{uuid4().hex[:12]}"


def made(server: PostgresServer, table: str, query: str = "") -> Sink:
    return sinks.build(*sinks.parse(f"{server.url}?table={table}{query}"))


def records(number: int, *, start: int = 1, **changes: Any) -> list[Record]:
    numbers = range(start, start + number)
    return [Record(seq, "default", decode(orjson.dumps(an_event(**changes)))) for seq in numbers]


@asynccontextmanager
async def opened(sink: Sink) -> AsyncIterator[Sink]:
    await sink.open()
    try:
        yield sink
    finally:
        await sink.close()


async def asked(server: PostgresServer, query: str, *identifiers: str) -> list[tuple[Any, ...]]:
    """Return what the server answers to a query, in which `{}` stand for names."""
    composed = sql.SQL(query).format(*map(sql.Identifier, identifiers))
    async with await psycopg.AsyncConnection.connect(server.url, autocommit=True) as connection:
        cursor = await connection.execute(composed)
        return await cursor.fetchall() if cursor.description else []


async def ids(server: PostgresServer, table: str) -> list[str]:
    return [str(row[0]) for row in await asked(server, "SELECT id FROM {} ORDER BY seq", table)]


@pytest.mark.parametrize("query", ["", "&format=event", "&sslmode=disable&application_name=streamer"])
async def test_it_keeps_the_contract(shared: PostgresServer, table: str, query: str) -> None:
    await check_sink(lambda: made(shared, table, query), lambda: ids(shared, table))


async def test_a_repetition_adds_nothing(shared: PostgresServer, table: str) -> None:
    batch = records(4)
    async with opened(made(shared, table)) as sink:
        await sink.write(batch[:3])
        await sink.write(batch)
        await sink.write(batch[1:2])
    assert await ids(shared, table) == [str(each.event.id) for each in batch]


async def test_records_that_the_format_passes_over_are_no_rows(shared: PostgresServer, table: str) -> None:
    query = "&format=template&template=%20&content_type=application/json"
    async with opened(made(shared, table, query)) as sink:
        await sink.write(records(2))
    assert await ids(shared, table) == []


async def test_a_row_has_what_is_asked_for_most_in_columns_and_all_in_record(
    shared: PostgresServer, table: str
) -> None:
    (record,) = records(1, before="PENDING", after="CRASHED")
    async with opened(made(shared, table)) as sink:
        await sink.write([record])
    (row,) = await asked(shared, "SELECT * FROM {}", table)
    found = Row(*row)
    assert (found.id, found.seq, found.kind) == (record.event.id, 1, "transition")
    assert (found.occurred, found.flow_run_id, found.flow) == (record.event.occurred, record.event.run_id, "etl")
    assert (found.from_type, found.to_type, found.run_count, found.tags) == ("PENDING", "CRASHED", 1, [])
    (told,) = await asked(shared, "SELECT record->'to'->>'type' FROM {}", table)
    assert told == ("CRASHED",)


async def test_its_columns_are_those_of_a_row_and_it_has_its_indexes(shared: PostgresServer, table: str) -> None:
    async with opened(made(shared, table)):
        pass
    columns = await asked(shared, f"SELECT column_name FROM information_schema.columns WHERE table_name = '{table}'")
    assert {name for (name,) in columns} == set(Row._fields)
    indexes = await asked(shared, f"SELECT indexname FROM pg_indexes WHERE tablename = '{table}' ORDER BY 1")
    assert [name for (name,) in indexes] == [f"{table}_flow_run_id_occurred", f"{table}_occurred", f"{table}_pkey"]


async def test_creators_that_come_at_once_do_not_meet(shared: PostgresServer, table: str) -> None:
    creators = [made(shared, table) for _ in range(8)]
    await asyncio.gather(*(each.open() for each in creators))
    batch = records(50)
    await asyncio.gather(*(each.write(batch) for each in creators))
    for each in creators:
        await each.close()
    assert await ids(shared, table) == [str(each.event.id) for each in batch]


async def test_a_table_of_the_newest_version_needs_no_rights_to_make_one(shared: PostgresServer, table: str) -> None:
    async with opened(made(shared, table)):
        pass
    await asked(shared, f"CREATE ROLE w{table} LOGIN PASSWORD 'w'")
    await asked(shared, f"GRANT SELECT, INSERT ON {{}} TO w{table}", table)
    url = f"postgresql://w{table}:w@127.0.0.1:{shared.port}/postgres?table={table}"
    async with opened(sinks.build(*sinks.parse(url))) as sink:
        await sink.write(records(2))
    assert len(await ids(shared, table)) == 2


async def test_a_schema_may_be_named(shared: PostgresServer, table: str) -> None:
    sink = made(shared, f"s{table}.events")
    with pytest.raises(Retry, match=r"schema .* does not exist"):
        await sink.open()
    await asked(shared, "CREATE SCHEMA {}", f"s{table}")
    async with opened(sink):
        await sink.write(records(2))
    assert len(await asked(shared, "SELECT id FROM {}.{}", f"s{table}", "events")) == 2


async def test_a_table_that_is_dropped_is_made_again(shared: PostgresServer, table: str) -> None:
    async with opened(made(shared, table)) as sink:
        await asked(shared, "DROP TABLE {}", table)
        with pytest.raises(Retry, match="does not exist"):
            await sink.write(records(1))
        await sink.write(records(1))
    assert len(await ids(shared, table)) == 1


async def test_a_poisoned_record_is_refused_and_nothing_of_its_batch_is_left(
    shared: PostgresServer, table: str
) -> None:
    healthy, poisoned = records(3), records(1, start=4, event="prefect.flow-run.a\0b")
    async with opened(made(shared, table)) as sink:
        with pytest.raises(Reject, match=r"PostgreSQL refuses it: .*NUL"):
            await sink.write([*healthy, *poisoned])
        assert await ids(shared, table) == []
        await sink.write(healthy)
    assert len(await ids(shared, table)) == 3


@pytest.mark.parametrize("json", [b'"a\\u0000b"', b"1e200000"])
async def test_what_jsonb_cannot_hold_is_refused(shared: PostgresServer, table: str, json: bytes) -> None:
    raw = orjson.dumps(an_event(more="HERE")).replace(b'"HERE"', json)
    async with opened(made(shared, table, "&format=event")) as sink:
        with pytest.raises(Reject, match="PostgreSQL refuses it: "):
            await sink.write([Record(1, "default", decode(raw))])


async def test_a_statement_that_takes_too_long_is_given_up_and_tried_again(shared: PostgresServer, table: str) -> None:
    async with opened(made(shared, table, "&timeout=0.2")) as sink:
        async with await psycopg.AsyncConnection.connect(shared.url) as other:
            await other.execute(sql.SQL("LOCK TABLE {}").format(sql.Identifier(table)))
            with pytest.raises(Retry, match="statement timeout"):
                await sink.write(records(1))
        await sink.write(records(1))
    assert len(await ids(shared, table)) == 1


async def test_a_write_that_is_cancelled_leaves_nothing_and_the_next_one_works(
    shared: PostgresServer, table: str
) -> None:
    batch = records(2)
    async with opened(made(shared, table)) as sink:
        async with await psycopg.AsyncConnection.connect(shared.url) as other:
            await other.execute(sql.SQL("LOCK TABLE {}").format(sql.Identifier(table)))
            writing = asyncio.create_task(sink.write(batch))
            await until(lambda: waits(shared, table))
            writing.cancel()
            await asyncio.wait([writing])
        assert await ids(shared, table) == []
        await sink.write(batch)
    assert len(await ids(shared, table)) == 2


async def waits(server: PostgresServer, table: str) -> bool:
    query = f"SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%{table}%'"
    return bool(await asked(server, query.replace("{", "").replace("}", "")))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ((quote(PASSWORD, safe=""), "0therPass"), "password authentication failed"),
        (("/postgres", "/nowhere"), 'database "nowhere" does not exist'),
    ],
)
async def test_who_is_not_let_in_is_told_why_without_the_password(
    shared: PostgresServer, wrong: tuple[str, str], said: str
) -> None:
    sink = sinks.build(*sinks.parse(shared.url.replace(*wrong)))
    with pytest.raises(Retry, match=said) as caught:
        await sink.open()
    await sink.close()
    assert PASSWORD not in str(caught.value)
    assert "0therPass" not in str(caught.value)


async def test_missing_rights_are_told(shared: PostgresServer, table: str) -> None:
    await asked(shared, f"CREATE ROLE n{table} LOGIN PASSWORD 'n'")
    sink = sinks.build(*sinks.parse(f"postgresql://n{table}:n@127.0.0.1:{shared.port}/postgres?table={table}"))
    with pytest.raises(Retry, match="permission denied for schema public") as caught:
        await sink.open()
    assert "CREATE on the schema" in (caught.value.hint or "")


async def test_a_password_in_a_file_is_read_at_each_connect(shared: PostgresServer, table: str, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("old")
    sink = sinks.build(
        "postgresql",
        {"host": "127.0.0.1", "port": shared.port, "database": "postgres", "username": "streamer"}
        | {"password_file": str(file), "table": table},
    )
    with pytest.raises(Retry, match="authentication"):
        await sink.open()
    file.write_text(PASSWORD + "\n")
    async with opened(sink):
        await sink.write(records(1))
    assert len(await ids(shared, table)) == 1


async def test_killed_in_the_middle_and_started_again_it_has_everything_once(own: PostgresServer) -> None:
    batches = [records(50, start=1 + 50 * number) for number in range(40)]
    sink = made(own, "flow_run_events")
    await sink.open()

    async def write_all() -> None:
        for batch in batches:
            await insisting(sink, batch)

    writing = asyncio.create_task(write_all())
    for least in (100, 600):
        await until(partial(has, own, least))
        own.kill()
        await asyncio.to_thread(own.start)
    await writing
    await sink.close()
    assert await ids(own, "flow_run_events") == [str(each.event.id) for batch in batches for each in batch]


async def has(server: PostgresServer, least: int) -> bool:
    return len(await ids(server, "flow_run_events")) >= least


async def insisting(sink: Sink, batch: Sequence[Record]) -> None:
    """Write as a delivery does, without its patience."""
    while True:
        try:
            return await sink.write(batch)
        except Retry:
            await asyncio.sleep(0.02)


async def test_tls_is_spoken_to_the_server_that_an_authority_vouches_for(own: PostgresServer, tmp_path: Path) -> None:
    authority, client, stranger = trustme.CA(), tmp_path / "ca.pem", tmp_path / "stranger.pem"
    authority.cert_pem.write_to_path(client)
    trustme.CA().cert_pem.write_to_path(stranger)
    own.speak_tls(authority.issue_cert("127.0.0.1"))
    async with opened(made(own, "t", f"&ca_file={client}")) as sink:
        await sink.write(records(1))
    assert await asked(own, "SELECT count(*) FROM t") == [(1,)]
    refused = made(own, "t", f"&ca_file={stranger}")
    with pytest.raises(Retry, match="certificate verify failed"):
        await refused.open()
