"""The stream: what viewers are sent, in this process and over a socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import httpx
import pytest
from starlette.applications import Starlette
from structlog.testing import capture_logs

from streamer.errors import StoreError
from streamer.testing import an_event, until
from streamer.testing.serving import Serving
from streamer.web import stream as streams
from streamer.web.feed import ROWS_AT_ONCE, ROWS_KEPT, Feed
from streamer.web.problems import HANDLERS
from streamer.web.stream import PATH, STILL_HERE, Stream, Topic, route
from tests.web.asking import problem
from tests.web.test_feed import a_feed, commit, records, seqs, told


class Told:
    """A topic that the test changes."""

    def __init__(self) -> None:
        self.value = "first"
        self.asked = 0
        self.fails: Exception | None = None

    async def ask(self) -> str:
        self.asked += 1
        if self.fails:
            raise self.fails
        return self.value


@pytest.fixture
def feed() -> Feed:
    return a_feed()


@pytest.fixture
def topic() -> Told:
    return Told()


@pytest.fixture
async def stream(feed: Feed, topic: Told, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stream]:
    """Return a stream that is kept up to date, quicker than in a service."""
    monkeypatch.setattr(streams, "TELL_SECONDS", 0.01)
    made = Stream(feed, [Topic("topic", topic.ask, every=0.01)])
    running = asyncio.create_task(made.run())
    yield made
    running.cancel()
    await asyncio.wait([running])


async def news(viewer: AsyncIterator[bytes]) -> list[bytes]:
    """Return the events that a viewer is sent next."""
    async with asyncio.timeout(5):
        sent = await anext(viewer)
    return [each for each in sent.split(b"\n\n") if each.startswith((b"id:", b"event:"))]


async def names(viewer: AsyncIterator[bytes]) -> list[str]:
    return [event for _, event, _ in told(await news(viewer))]


async def test_a_new_viewer_begins_with_all_there_is_and_then_has_what_is_new(stream: Stream, feed: Feed) -> None:
    commit(feed, records(an_event(), an_event()))
    feed.cut()
    async with aclosing(stream.messages()) as viewer:
        assert await anext(viewer) == b"retry: 2000\n\n"
        sent = await news(viewer)
        assert [event for _, event, _ in told(sent)][:2] == ["reset", "rows"]
        assert seqs(sent) == [1, 2]
        if "topic" not in [event for _, event, _ in told(sent)]:
            assert await names(viewer) == ["topic"]
        commit(feed, records(an_event(), first=3))
        assert seqs(await news(viewer)) == [3]


async def test_a_viewer_that_comes_back_goes_on_without_a_reset(stream: Stream, feed: Feed) -> None:
    commit(feed, records(an_event(), an_event()))
    feed.cut()
    ident = feed.ident
    commit(feed, records(an_event(), first=3))
    feed.cut()
    async with aclosing(stream.messages(ident)) as viewer:
        await anext(viewer)
        sent = await news(viewer)
        assert "reset" not in [event for _, event, _ in told(sent)]
        assert seqs(sent) == [3]


async def test_a_topic_is_sent_when_it_has_changed_only(stream: Stream, topic: Told) -> None:
    async with aclosing(stream.messages()) as viewer:
        await anext(viewer)
        await news(viewer)
        await news(viewer)
        await until(lambda: topic.asked > 5)
        topic.value = "second"
        assert told(await news(viewer)) == [(None, "topic", "second")]


async def test_a_slow_viewer_skips_what_came_in_between(stream: Stream, topic: Told) -> None:
    async with aclosing(stream.messages()) as slow:
        await anext(slow)
        await news(slow)
        for number in range(20):
            topic.value, before = str(number), topic.asked
            await until(lambda before=before: topic.asked > before + 1)  # type: ignore[misc]
        assert told(await news(slow)) == [(None, "topic", "19")]


async def test_a_viewer_that_slept_through_all_that_is_kept_is_dropped_to_a_snapshot(
    stream: Stream, feed: Feed
) -> None:
    commit(feed, records(an_event()))
    feed.cut()
    async with aclosing(stream.messages()) as slow:
        await anext(slow)
        await news(slow)
        for number in range(2 * ROWS_KEPT // ROWS_AT_ONCE):
            commit(feed, records(*(an_event() for _ in range(ROWS_AT_ONCE)), first=2 + number * ROWS_AT_ONCE))
            feed.cut()
        sent = await news(slow)
        assert told(sent)[0][1] == "reset"
        assert len(seqs(sent)) <= ROWS_KEPT


async def test_all_viewers_are_sent_the_same_bytes(stream: Stream, feed: Feed) -> None:
    commit(feed, records(an_event()))
    feed.cut()
    async with aclosing(stream.messages()) as one, aclosing(stream.messages()) as other:
        await anext(one)
        await anext(other)
        assert (await news(one))[1] == (await news(other))[1]
        assert feed.since(0)[0][0] is feed.since(0)[0][0]


async def test_nothing_is_asked_while_nobody_watches(stream: Stream, topic: Told) -> None:
    async with aclosing(stream.messages()) as viewer:
        await anext(viewer)
        await until(lambda: topic.asked)
    asked = topic.asked
    await asyncio.sleep(0.05)  # five times as long as it takes to be asked
    assert topic.asked <= asked + 1
    assert stream.viewers == 0


@pytest.mark.parametrize("error", [StoreError("the disk is full"), RuntimeError("a fault")])
async def test_what_cannot_be_asked_ends_nothing(stream: Stream, topic: Told, error: Exception) -> None:
    topic.fails = error
    with capture_logs() as logged:
        async with aclosing(stream.messages()) as viewer:
            await anext(viewer)
            await news(viewer)
            await until(lambda: topic.asked > 2)
            topic.fails = None
            assert told(await news(viewer)) == [(None, "topic", "first")]
    assert {each["of"] for each in logged} == {"topic"}


async def test_silence_is_broken_so_that_proxies_keep_the_connection(feed: Feed) -> None:
    async with aclosing(Stream(feed, []).messages(silent=0.01)) as viewer:
        await anext(viewer)
        await news(viewer)
        assert await anext(viewer) == STILL_HERE


async def test_viewers_are_let_go_when_the_service_stops(feed: Feed) -> None:
    stream = Stream(feed, [])
    running = asyncio.create_task(stream.run())
    await asyncio.sleep(0)  # it begins
    async with aclosing(stream.messages()) as viewer:
        await anext(viewer)
        await news(viewer)
        running.cancel()
        with pytest.raises(StopAsyncIteration):
            await news(viewer)


@asynccontextmanager
async def watching(stream: Stream, path: str = PATH, **headers: str) -> AsyncIterator[AsyncIterator[str]]:
    """Watch over a socket; return the lines that come."""
    app = Starlette(routes=[route(stream)], exception_handlers=HANDLERS)
    async with (
        Serving(app) as serving,
        httpx.AsyncClient(base_url=serving.url, trust_env=False) as http,
        http.stream("GET", path, headers=headers) as answer,
    ):
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["cache-control"] == "no-store"
        yield answer.aiter_lines()


async def ids(lines: AsyncIterator[str], number: int) -> list[str]:
    """Return so many ids, in order."""
    found: list[str] = []
    async for line in lines:
        found += [line.removeprefix("id: ")] if line.startswith("id: ") else []
        if len(found) == number:
            break
    return found


async def test_a_browser_says_with_its_header_where_to_go_on(stream: Stream, feed: Feed) -> None:
    commit(feed, records(an_event()))
    feed.cut()
    first = feed.ident
    commit(feed, records(an_event(), first=2))
    feed.cut()
    async with watching(stream, **{"Last-Event-ID": first}) as lines:
        assert await ids(lines, 1) == [feed.ident]
    async with watching(stream, f"{PATH}?after={first}") as lines:
        assert await ids(lines, 1) == [feed.ident]
    await until(lambda: stream.viewers == 0)


async def test_there_is_a_most_of_viewers(feed: Feed) -> None:
    stream = Stream(feed, [])
    stream.viewers = streams.VIEWERS_MOST
    app = Starlette(routes=[route(stream)], exception_handlers=HANDLERS)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://streamer") as http:
        said = problem(await http.get(PATH))
    assert (said["status"], said["detail"]) == (503, "200 watch already, which is the most")


async def test_a_viewer_that_reads_nothing_holds_up_nobody(stream: Stream, feed: Feed, topic: Told) -> None:
    async with Serving(Starlette(routes=[route(stream)])) as serving:
        host, port = serving.url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"GET {PATH} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        await until(lambda: stream.viewers)
        topic.value = "x" * 1_000_000
        async with aclosing(stream.messages()) as quick:
            for seq in range(1, 40):
                commit(feed, records(an_event(), first=seq))
                feed.cut()
                topic.value = f"{seq}" + "x" * 1_000_000
            async with asyncio.timeout(5):
                while feed.ident.encode() not in await anext(quick):
                    pass
        writer.close()
        await until(lambda: stream.viewers == 0)
