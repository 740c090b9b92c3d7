"""A server whose REST is broken, or lies: the sweep stays up, asks no more than is good, and goes on when it can."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response

from streamer.audit import SECOND
from streamer.backoff import backoff
from streamer.clock import ServerClock, SystemClock
from streamer.errors import ConnectionLost
from streamer.health import SourceHealth
from streamer.instruments import Instruments
from streamer.intake import Intake
from streamer.log import Log
from streamer.pipeline import Pipeline
from streamer.protocol import Position
from streamer.source import reading
from streamer.source.api import Api, Page
from streamer.source.connection import Connection
from streamer.source.runs_api import RunsApi
from streamer.source.sweep import Sweep
from streamer.store.sqlite import SqliteStore
from streamer.testing import FakePrefect, Faults, an_event, until
from tests.source.hostile import Hostile, Peer, Way

AGES = ((SECOND // 10, SECOND // 5),)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PATIENCE", backoff(first=0.01, longest=0.1))


class Lying(Faults):
    """A server whose pages are made into others."""

    def __init__(self, lie: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        super().__init__(share=0)
        self._lie = lie

    def page(self, page: dict[str, Any], *, itself: str) -> dict[str, Any]:
        return self._lie(page)


@asynccontextmanager
async def sweeping(
    folder: Path,
    server: FakePrefect,
    *,
    history: timedelta = timedelta(minutes=2),
) -> AsyncIterator[tuple[Log, SourceHealth]]:
    """Run the sweep of a server into a real store."""
    health, intake = SourceHealth("default", Instruments()), Intake()
    store = SqliteStore.open(folder / "streamer.db")
    try:
        log = await Log.open(store)
        state = await log.open_source("default", identity="a server", now=datetime.now(UTC))
        pipeline = Pipeline(intake, log, health.instruments, health={"default": health})
        api = Api(Connection(server.api_url), ServerClock(SystemClock()), health.instruments)
        async with api, asyncio.TaskGroup() as tasks:
            sweep = Sweep(api, store, health, state, history=history, ages=AGES)
            running = [tasks.create_task(sweep.run(intake.put)), tasks.create_task(pipeline.run())]
            yield log, health
            for task in running:
                task.cancel()
    finally:
        await store.close()


async def ids_of(log: Log) -> list[str]:
    return sorted(str(record.event.id) for record in await log.after(0, 1000))


def some_events(number: int) -> list[dict[str, Any]]:
    """Return events of the last two minutes."""
    now = datetime.now(UTC)
    return [an_event(occurred=now - timedelta(minutes=2) * (each + 1) / (number + 2)) for each in range(number)]


@pytest.mark.parametrize("total", [10**9, 2**60, 501, -1])
async def test_total_that_is_always_the_same_lie_is_believed_for_a_bounded_number_of_requests(
    tmp_path: Path, total: int
) -> None:
    events = some_events(40)
    async with FakePrefect(faults=Lying(lambda page: {**page, "total": total})) as server:
        server.publish(*events, live=False)
        async with sweeping(tmp_path, server) as (log, health):
            await until(lambda: health.caught_up, seconds=30)
            assert await ids_of(log) == sorted(event["id"] for event in events)
        assert len(server.requests) < 1000


async def test_page_with_an_endless_token_is_read_once(tmp_path: Path) -> None:
    events = some_events(10)
    endless = "http://x/api/events/filter/next?page-token=again"
    async with FakePrefect(faults=Lying(lambda page: {**page, "next_page": endless})) as server:
        server.publish(*events, live=False)
        async with sweeping(tmp_path, server) as (log, health):
            await until(lambda: health.caught_up)
            assert await ids_of(log) == sorted(event["id"] for event in events)
        assert "/api/events/filter/next" not in server.requests


async def test_full_page_that_is_the_answer_to_everything_is_not_asked_for_without_end(tmp_path: Path) -> None:
    cached = some_events(50)
    lying = Lying(lambda page: {**page, "events": cached, "total": 50})
    async with FakePrefect(faults=lying) as server, sweeping(tmp_path, server) as (log, _):
        await until(lambda: log.head == 50)
        asked = len(server.requests)
        with pytest.raises(TimeoutError):
            await until(lambda: len(server.requests) > asked + 100, seconds=1)
        server.faults = Faults(share=0)
        server.publish(late := an_event(), live=False)
        await until(lambda: log.head == 51)
        assert late["id"] in await ids_of(log)


async def test_events_at_the_end_of_time_do_not_end_the_sweep(tmp_path: Path) -> None:
    end = [an_event(occurred=datetime.max.replace(tzinfo=UTC)) for _ in range(50)]
    lying = Lying(lambda page: {**page, "events": end, "total": 50})
    async with FakePrefect(faults=lying) as server, sweeping(tmp_path, server) as (log, health):
        await until(lambda: len(server.requests) > 5)
        server.faults = Faults(share=0)
        server.publish(an_event(), live=False)
        await until(lambda: log.head and health.caught_up)


@pytest.mark.parametrize("status", [401, 403, 404, 422])
async def test_refusals_of_long_windows_are_outlasted(tmp_path: Path, status: int) -> None:
    event = an_event(occurred=datetime.now(UTC) - HOUR)
    async with FakePrefect() as server:
        server.publish(event, live=False)
        server.rest_failures += [Response(status_code=status) for _ in range(2 * reading.COUNT_TRIES)]
        async with sweeping(tmp_path, server, history=2 * HOUR) as (log, health):
            await until(lambda: health.caught_up)
            assert await ids_of(log) == [event["id"]]


@pytest.mark.parametrize("address", ["http://[", "http://x/\x00?page-token=a", "?page-token=" + "x" * 70_000, "x"])
def test_address_that_is_none_has_no_page_token(address: str) -> None:
    assert Page(events=[], total=0, next_page=address).token is None


async def resets(peer: Peer) -> None:
    await peer.request()
    peer.reset()


def answering(data: bytes) -> Way:
    """Return a way to answer a request with these bytes, and hang up."""

    async def way(peer: Peer) -> None:
        await peer.request()
        peer.write(data)
        await peer.leave()

    return way


def with_headers(headers: bytes, body: bytes) -> Way:
    return answering(b"HTTP/1.1 200 OK\r\n" + headers + b"\r\n\r\n" + body)


EMPTY = b'{"events":[],"total":0}'

BROKEN: dict[str, Way] = {
    "a reset": resets,
    "nothing": answering(b""),
    "another protocol": answering(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "endless headers": answering(b"HTTP/1.1 200 OK\r\n" + b"X-Padding: x\r\n" * 20_000),
    "half a head": answering(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "half a body": with_headers(b"Content-Length: 1000", EMPTY),
    "chunks that are none": with_headers(b"Transfer-Encoding: chunked", b"zz\r\n" + EMPTY),
    "gzip that is none": with_headers(b"Content-Encoding: gzip\r\nContent-Length: 23", EMPTY),
    "no JSON": with_headers(b"Content-Length: 4", b"\xff\xfe{}"),
    "a list": with_headers(b"Content-Length: 2", b"[]"),
    "too deep a nesting": with_headers(b"Content-Length: 200000", b"[" * 200_000),
    "a total that is none": with_headers(b"Content-Length: 28", b'{"events":[],"total":"many"}'),
    "events that are none": with_headers(b"Content-Length: 27", b'{"events":[null],"total":1}'),
}


@pytest.mark.parametrize("way", BROKEN.values(), ids=BROKEN.keys())
async def test_broken_answer_is_to_be_tried_again(clock: ServerClock, way: Way) -> None:
    body = Position(datetime.now(UTC) - HOUR, datetime.now(UTC)).body()
    async with Hostile(way) as server, Api(Connection(server.api_url), clock, Instruments()) as api:
        with pytest.raises(ConnectionLost):
            await api.events(body)
        assert server.attempts == 1


@pytest.mark.parametrize("answer", [b"", b"<html>", b'[{"id":', b"{}", b"null", b"[null]", b"7"])
async def test_answer_that_is_no_list_of_runs_or_states_is_to_be_tried_again(
    server: FakePrefect, api: Api, answer: bytes
) -> None:
    server.rest_failures += [Response(answer, media_type="application/json") for _ in range(2)]
    with pytest.raises(ConnectionLost, match="no list"):
        await RunsApi(api).states("a run")
    with pytest.raises(ConnectionLost, match="no list"):
        _ = [page async for page in RunsApi(api).unfinished()]
