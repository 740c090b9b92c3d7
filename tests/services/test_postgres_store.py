"""The store in PostgreSQL: one writer, who is fenced off once another leads, and no commit in doubt."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from random import Random
from uuid import uuid4

import psycopg
import pytest

from streamer import config
from streamer.errors import ConfigError, LeaseError, StoreError
from streamer.model import Net
from streamer.store import postgres_schema
from streamer.store.postgres import DatabasePlace, PostgresStore
from streamer.store.postgres_connection import PostgresConnection
from streamer.store.postgres_lease import LASTS_SECONDS
from streamer.store.postgres_schema import STEPS
from streamer.testing import check_store, until
from streamer.testing.conformance import EPOCH, events
from tests.services.postgres_server import PASSWORD, PostgresServer, served

pytestmark = pytest.mark.services

IDENTITY = "http://server/api"
TAKE_OVER_SECONDS = 10


@pytest.fixture(scope="module")
def shared() -> Iterator[PostgresServer]:
    yield from served()


@pytest.fixture
def own() -> Iterator[PostgresServer]:
    """Give a server that may be killed."""
    yield from served()


@pytest.fixture
def url(shared: PostgresServer) -> str:
    return place_in(shared)


def place_in(server: PostgresServer) -> str:
    return f"{server.url}?schema=s{uuid4().hex[:12]}"


async def opened(url: str) -> PostgresStore:
    store = await asyncio.to_thread(DatabasePlace.of(url).open)
    await store.open_source("default", identity=IDENTITY, now=EPOCH)
    return store


async def test_it_keeps_the_contract(url: str) -> None:
    await check_store(lambda: DatabasePlace.of(url).open())


async def test_only_one_writes_and_the_next_may_as_soon_as_it_is_closed(url: str) -> None:
    first = DatabasePlace.of(url).open(address="http://host:4280")
    with pytest.raises(LeaseError, match=rf"in use by process {os.getpid()} on .*, which listens on http://host:4280"):
        DatabasePlace.of(url).open()
    running = DatabasePlace.of(url).service()
    assert running
    assert (running.address, running.token) == ("http://host:4280", first.token)
    await first.close()
    assert DatabasePlace.of(url).service() is None
    start = time.monotonic()
    await DatabasePlace.of(url).open().close()
    assert time.monotonic() - start < 1


async def test_who_reads_beside_the_writer_cannot_write(url: str) -> None:
    writer = await opened(url)
    written = await writer.append("default", events(3), net=Net.LIVE)
    reader = DatabasePlace.of(url).open_read_only()
    assert await reader.after(0, 9) == written.records
    with pytest.raises(StoreError, match="opened to be read only"):
        await reader.commit("a sink", 1)
    await reader.close()
    await writer.close()


WRITER = """
import asyncio, os, signal, sys
from streamer.model import Net
from streamer.store import segments
from streamer.store.postgres import DatabasePlace
from streamer.testing.conformance import EPOCH, events

write = segments.write

def freeze(*what):
    os.kill(os.getpid(), signal.SIGSTOP)
    write(*what)

async def keep_writing(url, in_a_transaction):
    store = DatabasePlace.of(url).open()
    store.be_patient(True)
    await store.open_source("default", identity="http://server/api", now=EPOCH)
    while True:
        await store.append("default", events(20), net=Net.LIVE)
        print(await store.head(), flush=True)
        if in_a_transaction:
            segments.write = freeze

asyncio.run(keep_writing(sys.argv[1], sys.argv[2:] == ["in a transaction"]))
"""


@pytest.mark.parametrize("seed", [None, 11, 12], ids=lambda seed: "any moment" if seed else "in a transaction")
async def test_a_writer_that_was_frozen_is_followed_soon_and_writes_no_more_when_it_wakes(
    url: str, seed: int | None
) -> None:
    with frozen(url, Random(seed).random() if seed else None) as writer:
        start = time.monotonic()
        store = await follower(url)
        taken = time.monotonic() - start
        assert LASTS_SECONDS / 2 < taken < TAKE_OVER_SECONDS, f"it took over after {taken:.1f} s"
        await store.append("default", events(1), net=Net.LIVE)
        known = await store.after(0, 1_000_000)
        writer.send_signal(signal.SIGCONT)
        assert writer.wait(TAKE_OVER_SECONDS) != 0
        assert writer.stderr
        assert f"the store was taken over by process {os.getpid()}" in writer.stderr.read()
        assert await store.after(0, 1_000_000) == known, "it wrote when it woke up"
        assert [each.seq for each in known] == list(range(1, len(known) + 1))
        await store.close()


@contextlib.contextmanager
def frozen(url: str, after: float | None) -> Iterator[subprocess.Popen[str]]:
    """Yield a process that wrote the store until it was stopped: after so many seconds, or in a transaction."""
    command = [sys.executable, "-c", WRITER, url, *([] if after else ["in a transaction"])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as writer:
        try:
            assert writer.stdout
            assert writer.stdout.readline(), writer.stderr and writer.stderr.read()
            if after:
                time.sleep(after)  # at any moment of what it does
                writer.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, writer.pid, os.WSTOPPED | os.WNOWAIT)
            yield writer
        finally:
            writer.kill()


async def follower(url: str) -> PostgresStore:
    """Return the store once it can be had."""
    while True:
        try:
            return await opened(url)
        except StoreError:
            await asyncio.sleep(0.1)  # the pace of asking


async def test_a_server_that_goes_down_is_waited_for_and_nothing_is_lost_or_there_twice(own: PostgresServer) -> None:
    store = await opened(place_in(own))
    store.be_patient(True)
    first = await store.append("default", events(5), net=Net.LIVE)
    await asyncio.to_thread(own.kill)
    appending = asyncio.create_task(store.append("default", events(7), net=Net.LIVE))
    await until(lambda: store.trouble)
    await asyncio.to_thread(own.start)
    second = await appending
    assert [each.seq for each in (*first.records, *second.records)] == list(range(1, 13))
    assert await store.after(0, 99) == [*first.records, *second.records]
    assert store.trouble is None
    await store.close()


async def test_a_commit_whose_answer_is_lost_is_not_done_again(shared: PostgresServer) -> None:
    async with Cutting.before(shared) as proxy:
        store = await opened(proxy.instead_of(place_in(shared)))
        store.be_patient(True)
        proxy.cuts_next_commit = True
        appended = await store.append("default", events(3), net=Net.LIVE)
        assert not proxy.cuts_next_commit, "there was no commit"
        assert (len(appended.records), appended.duplicates) == (3, 0)
        assert await store.after(0, 9) == appended.records
        await store.close()


class Cutting:
    """Stands before a server; lets a commit through and no answer back, once it is told to."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self.cuts_next_commit = False
        self.port = 0
        self._serving: set[asyncio.Task[None]] = set()

    @classmethod
    @asynccontextmanager
    async def before(cls, server: PostgresServer) -> AsyncIterator["Cutting"]:
        """Listen for the length of the block."""
        proxy = cls(server)
        async with await asyncio.start_server(proxy._serve, "127.0.0.1", 0) as listening:
            proxy.port = listening.sockets[0].getsockname()[1]
            yield proxy
            listening.close()
            await asyncio.gather(*proxy._serving)

    def instead_of(self, url: str) -> str:
        """Return the URL by way of here."""
        return url.replace(f":{self._server.port}/", f":{self.port}/")

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving.add(asyncio.create_task(self._stand_between(reader, writer)))

    async def _stand_between(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_connection("127.0.0.1", self._server.port)
        answers = asyncio.create_task(_pass_on(theirs, writer))
        while data := await reader.read(65_536):
            if cuts := self.cuts_next_commit and b"COMMIT" in data:
                answers.cancel()
                await asyncio.wait([answers])
                self.cuts_next_commit = False
            ours.write(data)
            await ours.drain()
            if cuts:
                await theirs.read(65_536)  # it is committed by now
                break
        answers.cancel()
        for each in (ours, writer):
            each.close()
            with contextlib.suppress(ConnectionError):
                await each.wait_closed()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()


async def test_processes_that_start_at_once_make_one_store(url: str) -> None:
    places = [asyncio.to_thread(DatabasePlace.of(url).open) for _ in range(4)]
    found = await asyncio.gather(*places, return_exceptions=True)
    (store,) = [each for each in found if isinstance(each, PostgresStore)]
    assert all(isinstance(each, LeaseError) for each in found if each is not store)
    await store.close()


async def test_a_store_of_a_newer_version_is_refused_and_left_as_it_is(url: str, shared: PostgresServer) -> None:
    await DatabasePlace.of(url).open().close()
    schema = url.partition("schema=")[2]
    connection = PostgresConnection(shared.url, schema=schema)
    connection.execute("UPDATE meta SET value = '99' WHERE key = 'version'")
    for open_it in (DatabasePlace.of(url).open, DatabasePlace.of(url).open_read_only):
        with pytest.raises(StoreError, match=f"schema version 99, and this program knows {len(STEPS)}"):
            open_it()
    connection.close()


async def test_a_newer_version_changes_the_schema_only_once_it_leads(
    url: str, shared: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    older, place = DatabasePlace.of(url).open(), DatabasePlace.of(url)
    monkeypatch.setattr(postgres_schema, "STEPS", (*STEPS, "CREATE TABLE more (id bigint)"))
    connection = PostgresConnection(shared.url, schema=place.schema)
    with pytest.raises(LeaseError):
        place.open(waits=False)
    with pytest.raises(StoreError, match=f"has schema version {len(STEPS)}, and this program wants {len(STEPS) + 1}"):
        place.open_read_only()
    assert postgres_schema.schema_version(connection) == len(STEPS)
    await older.close()
    await place.open().close()
    assert postgres_schema.schema_version(connection) == len(STEPS) + 1
    assert connection.execute("SELECT count(*) FROM more").fetchone() == (0,)
    connection.close()


async def test_names_with_nul_are_kept_without(url: str) -> None:
    store = await opened(url)
    await store.put_silence("a\0b", b"\0")
    assert await store.silences() == {"a\ufffdb": b"\0"}
    await store.close()


@pytest.mark.parametrize(
    ("change", "error", "hint"),
    [
        (lambda url: url.replace("s3same", "wrong"), "password authentication failed", "password in the store's URL"),
        (lambda url: url.replace("/postgres?", "/nothing?"), 'database "nothing" does not exist', "createdb"),
    ],
)
def test_what_is_wrong_with_the_url_is_told_without_the_password(
    url: str, change: object, error: str, hint: str
) -> None:
    assert callable(change)
    with pytest.raises(StoreError, match=error) as told:
        DatabasePlace.of(change(url)).open()
    assert hint in (told.value.hint or "")
    assert PASSWORD not in str(told.value)
    assert PASSWORD.split("/")[0] not in str(DatabasePlace.of(url))


def test_a_schema_has_a_plain_name_and_files_are_of_sqlite(url: str) -> None:
    with pytest.raises(ConfigError, match="is no name of a schema"):
        DatabasePlace.of(f"{url.partition('?')[0]}?schema=a-b")
    settings = config.load(store=url)
    assert isinstance(settings.place, DatabasePlace)
    with pytest.raises(ConfigError, match="the store is in PostgreSQL") as told:
        _ = settings.store_path
    assert "pg_dump" in (told.value.hint or "")


def test_a_store_that_is_not_there_is_not_made_by_looking(url: str, shared: PostgresServer) -> None:
    with pytest.raises(StoreError, match="there is no store"):
        DatabasePlace.of(url).open_read_only()
    assert not DatabasePlace.of(url).is_there()
    assert DatabasePlace.of(url).service() is None
    with psycopg.connect(shared.url) as connection:
        found = connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (url.partition("schema=")[2],))
        assert found.fetchone() is None
