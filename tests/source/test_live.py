import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import orjson
import pytest

from streamer.clock import ServerClock
from streamer.errors import AuthenticationFailed
from streamer.health import AFTER_BURST, AFTER_CONNECT, SourceHealth
from streamer.model import Frame, Item, Net
from streamer.source.connection import Connection
from streamer.source.live import LiveSource
from streamer.testing import FakePrefect, an_event, until


def listening(
    server: FakePrefect, health: SourceHealth, clock: ServerClock, connection: Connection | None = None
) -> AbstractAsyncContextManager[list[Frame]]:
    """Run the live net; what it yields is in the list."""
    live = LiveSource(connection or Connection(server.api_url), health, clock, first_wait=0.01)

    @asynccontextmanager
    async def running() -> AsyncIterator[list[Frame]]:
        frames: list[Frame] = []

        async def put(item: Item) -> None:
            assert isinstance(item, Frame)
            frames.append(item)

        task = asyncio.create_task(live.run(put))
        try:
            yield frames
        finally:
            task.cancel()
            await asyncio.wait([task])

    return running()


async def nowhere(item: Item) -> None:
    raise AssertionError(f"{item} came out of a refused connection")


def counted(health: SourceHealth, name: str, **labels: str) -> float:
    sample = health.instruments.registry.get_sample_value(f"prefect_streamer_{name}", {"source": "default", **labels})
    return sample or 0


async def test_messages_are_passed_on_as_they_came(
    server: FakePrefect, health: SourceHealth, clock: ServerClock
) -> None:
    async with listening(server, health, clock) as frames:
        await until(lambda: server.subscribers)
        event = an_event()
        server.publish(event)
        await until(lambda: frames)
    assert frames == [Frame("default", Net.LIVE, orjson.dumps({"type": "event", "event": event}))]


async def test_subscription_is_the_least_filter_without_backfill_and_with_a_far_end(
    server: FakePrefect, health: SourceHealth, clock: ServerClock
) -> None:
    async with listening(server, health, clock):
        await until(lambda: server.filters)
    (message,) = server.filters
    assert message["backfill"] is False
    assert message["filter"]["event"] == {"prefix": ["prefect.flow-run."]}
    assert set(message["filter"]) == {"event", "occurred"}
    assert (
        message["filter"]["occurred"]["until"] > clock.now().replace(year=clock.now().year + 1, day=1).isoformat()[:8]
    )


async def test_token_is_the_raw_auth_string(health: SourceHealth, clock: ServerClock) -> None:
    async with FakePrefect(auth_string="admin:secret") as server:
        connection = Connection(server.api_url, auth_string=lambda: "admin:secret")
        async with listening(server, health, clock, connection):
            await until(lambda: health.connected)


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1011, 1012])
async def test_any_close_but_a_refusal_is_followed_by_a_new_connection(
    server: FakePrefect, health: SourceHealth, clock: ServerClock, code: int
) -> None:
    async with listening(server, health, clock) as frames:
        await until(lambda: server.subscribers)
        server.publish(an_event())
        await until(lambda: frames)
        server.disconnect(code)
        await until(lambda: server.connections == 2)
    assert counted(health, "source_disconnects_total", code=str(code)) == 1


@pytest.mark.parametrize("status", [404, 426, 429, 502, 503])
async def test_refused_upgrade_is_tried_again(
    server: FakePrefect, health: SourceHealth, clock: ServerClock, status: int
) -> None:
    server.upgrade_status = status
    async with listening(server, health, clock):
        await until(lambda: counted(health, "source_connections_total", result="refused"))
        assert str(status) in (health.problem or "")
        server.upgrade_status = None
        await until(lambda: health.connected)


async def test_nobody_listening_is_tried_again(health: SourceHealth, clock: ServerClock, server: FakePrefect) -> None:
    async with listening(server, health, clock, Connection("http://127.0.0.1:9/api")):
        await until(lambda: counted(health, "source_connections_total", result="refused") >= 2)
    assert not health.connected


@pytest.mark.parametrize("status", [401, 403])
async def test_refused_credentials_are_fatal_before_the_first_connection(
    server: FakePrefect, health: SourceHealth, clock: ServerClock, status: int
) -> None:
    server.upgrade_status = status
    with pytest.raises(AuthenticationFailed):
        await LiveSource(Connection(server.api_url), health, clock).run(nowhere)
    assert counted(health, "source_connections_total", result="auth") == 1


async def test_wrong_token_is_fatal_before_the_first_connection(health: SourceHealth, clock: ServerClock) -> None:
    async with FakePrefect(auth_string="admin:right") as server:
        connection = Connection(server.api_url, auth_string=lambda: "admin:wrong")
        with pytest.raises(AuthenticationFailed, match="Invalid token") as caught:
            await LiveSource(connection, health, clock).try_once()
    assert caught.value.hint


async def test_credentials_refused_later_are_asked_again(
    server: FakePrefect, health: SourceHealth, clock: ServerClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamer.source.live.AUTH_RETRY_SECONDS", 0.01)
    async with listening(server, health, clock) as frames:
        await until(lambda: server.subscribers)
        server.publish(an_event())
        await until(lambda: frames)
        server.upgrade_status = 401
        server.disconnect(1012)
        await until(lambda: counted(health, "source_connections_total", result="auth") >= 2)
        server.upgrade_status = None
        await until(lambda: health.connected)


async def test_unknown_messages_do_not_end_the_stream(
    server: FakePrefect, health: SourceHealth, clock: ServerClock
) -> None:
    async with listening(server, health, clock) as frames:
        await until(lambda: server.subscribers)
        server.send(b'{"type":"ping"}')
        server.send(b"no json at all")
        server.publish(an_event())
        await until(lambda: len(frames) == 3)
    assert server.connections == 1


async def test_message_above_the_servers_own_limit_is_still_taken(
    server: FakePrefect, health: SourceHealth, clock: ServerClock
) -> None:
    async with listening(server, health, clock) as frames:
        await until(lambda: server.subscribers)
        server.send(b"x" * 5_000_000)
        await until(lambda: frames)
    assert len(frames[0].data) == 5_000_000


async def test_burst_makes_the_sweep_read_again(server: FakePrefect, health: SourceHealth, clock: ServerClock) -> None:
    async with listening(server, health, clock) as frames:
        await until(lambda: server.subscribers)
        server.publish(*[an_event() for _ in range(300)])
        await until(lambda: len(frames) == 300)
    assert [health.doubts.get_nowait() for _ in range(health.doubts.qsize())][:2] == [AFTER_CONNECT, AFTER_BURST]
