"""A server whose websocket is broken, or means ill: the live net stays up, keeps what it can, and says what it saw."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from websockets.frames import Opcode

from streamer.clock import ServerClock
from streamer.errors import AuthenticationFailed
from streamer.health import SourceHealth
from streamer.intake import Intake
from streamer.log import Log
from streamer.model import Family
from streamer.pipeline import Pipeline
from streamer.source import live as module
from streamer.source.connection import Connection
from streamer.source.live import LiveSource
from streamer.store.sqlite import SqliteStore
from streamer.testing import an_event, until
from tests.source.hostile import Hostile, Peer, Way, stay

FIRST_WAIT = 0.05


@dataclass
class Listening:
    """What a live net has made of a server."""

    log: Log
    health: SourceHealth

    async def ids(self) -> list[str]:
        return [str(record.event.id) for record in await self.log.after(0, 100)]

    async def quarantined(self) -> dict[str, int]:
        """Return how many frames are quarantined, by reason."""
        counts = (await self.log.store.totals()).counts
        return {key.labels[0]: value for key, value in counts.items() if key.family is Family.QUARANTINED}

    def disconnects(self) -> dict[str, float]:
        return self._counted("source_disconnects_total", "code")

    def connections(self) -> dict[str, float]:
        return self._counted("source_connections_total", "result")

    def _counted(self, name: str, label: str) -> dict[str, float]:
        families = self.health.instruments.registry.collect()
        samples = [sample for family in families for sample in family.samples]
        return {each.labels[label]: each.value for each in samples if each.name == f"prefect_streamer_{name}"}


class Bench:
    """A place to listen at hostile servers from."""

    def __init__(self, folder: Path, health: SourceHealth, clock: ServerClock) -> None:
        self._path = folder / "streamer.db"
        self._health = health
        self._clock = clock

    @asynccontextmanager
    async def listening(self, *ways: Way) -> AsyncIterator[tuple[Hostile, Listening]]:
        """Run the live net of a server that treats its connections in these ways, into a real store."""
        store, intake = SqliteStore.open(self._path), Intake()
        try:
            log = await Log.open(store)
            await log.open_source("default", identity="a server", now=datetime.now(UTC))
            pipeline = Pipeline(intake, log, self._health.instruments, health={"default": self._health})
            async with Hostile(*ways) as server, asyncio.TaskGroup() as tasks:
                live = LiveSource(Connection(server.api_url), self._health, self._clock, first_wait=FIRST_WAIT)
                running = [tasks.create_task(live.run(intake.put)), tasks.create_task(pipeline.run())]
                yield server, Listening(log, self._health)
                for task in running:
                    task.cancel()
        finally:
            await store.close()


@pytest.fixture
def bench(tmp_path: Path, health: SourceHealth, clock: ServerClock) -> Bench:
    return Bench(tmp_path, health, clock)


def saying(*frames: bytes, opcode: Opcode = Opcode.TEXT) -> tuple[Way, str]:
    """Return a way to say these frames, and then an event that has the id that comes along."""
    event = an_event()

    async def way(peer: Peer) -> None:
        await peer.subscribe()
        for frame in frames:
            peer.say(frame, opcode)
        peer.tell(event)
        await peer.goodbye()

    return way, event["id"]


def an_event_of(size: int) -> dict[str, object]:
    """Return a valid event of about so many bytes."""
    event = an_event()
    event["resource"]["prefect.state-message"] = "x" * size
    return event


async def test_event_of_more_than_a_megabyte_arrives(bench: Bench) -> None:
    event = an_event_of(1_200_000)
    way, last = saying(orjson.dumps({"type": "event", "event": event}))
    async with bench.listening(way) as (server, heard):
        await until(lambda: heard.log.head == 2)
        assert await heard.ids() == [event["id"], last]
        assert server.attempts == 1


async def test_event_of_five_megabytes_is_quarantined_and_the_connection_survives(bench: Bench) -> None:
    way, last = saying(orjson.dumps({"type": "event", "event": an_event_of(5_000_000)}))
    async with bench.listening(way) as (server, heard):
        await until(lambda: heard.log.head)
        assert await heard.ids() == [last]
        assert (await heard.quarantined(), server.attempts) == ({"oversize": 1}, 1)


async def test_message_that_no_memory_should_be_spent_on_ends_the_connection_and_no_more(bench: Bench) -> None:
    way, _ = saying(b"x" * (module.MAX_MESSAGE_BYTES + 1))
    async with bench.listening(way, stay) as (server, heard):
        await until(lambda: heard.log.head)
        assert (server.attempts, heard.connections()) == (2, {"ok": 2})
        assert heard.disconnects() == {"1009": 1}


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"", "json"),
        (b"no json at all", "json"),
        (b'{"type":"event","event":{"id":', "json"),
        (b"[" * 200_000, "json"),
        (b'{"type":"event","event":{"occurred":"\xff\xfe"}}', "json"),
        (b'{"type":"event","event":{"occurred":"\\ud800"}}', "json"),
        (b'{"type":"event","event":{"a":NaN}}', "schema"),
        (b"null", "schema"),
        (b"[]", "schema"),
        (b'"event"', "schema"),
        (b"{}", "schema"),
        (b'{"type":"ping"}', "schema"),
        (b'{"type":"event"}', "schema"),
        (b'{"type":"event","event":null}', "schema"),
        (b'{"type":"event","event":[1,2]}', "schema"),
        (b'{"type":"event","event":{}}', "schema"),
        (b'{"type":"auth_success"}', "schema"),
    ],
)
@pytest.mark.parametrize("opcode", [Opcode.TEXT, Opcode.BINARY])
async def test_frame_that_is_no_event_is_quarantined_and_the_connection_survives(
    bench: Bench, frame: bytes, reason: str, opcode: Opcode
) -> None:
    way, last = saying(frame, opcode=opcode)
    async with bench.listening(way) as (server, heard):
        await until(lambda: heard.log.head)
        assert await heard.ids() == [last]
        assert (await heard.quarantined(), server.attempts) == ({reason: 1}, 1)


async def test_event_in_a_binary_frame_is_an_event(bench: Bench) -> None:
    event = an_event()
    way, last = saying(orjson.dumps({"event": event, "type": "event"}), opcode=Opcode.BINARY)
    async with bench.listening(way) as (_, heard):
        await until(lambda: heard.log.head == 2)
        assert await heard.ids() == [event["id"], last]


async def test_event_in_fragments_with_pings_between_them_is_an_event(bench: Bench) -> None:
    event = an_event()
    data = orjson.dumps({"type": "event", "event": event})

    async def in_fragments(peer: Peer) -> None:
        await peer.subscribe()
        peer.say(data[:100], fin=False)
        peer.say(b"", Opcode.PING)
        peer.say(data[100:], Opcode.CONT)
        await peer.goodbye()

    async with bench.listening(in_fragments) as (_, heard):
        await until(lambda: heard.log.head)
        assert await heard.ids() == [event["id"]]


def closing(code: int) -> Way:
    async def way(peer: Peer) -> None:
        await peer.subscribe()
        peer.tell()
        peer.close(code)
        await peer.goodbye()

    return way


@pytest.mark.parametrize(
    "code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4000, 4999]
)
async def test_close_of_any_code_is_counted_and_followed_by_a_new_connection(
    bench: Bench, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AUTH_RETRY_SECONDS", FIRST_WAIT)
    async with bench.listening(closing(code), stay) as (server, heard):
        await until(lambda: heard.log.head == 2)
        assert (server.attempts, heard.disconnects()) == (2, {str(code): 1})


async def reset(peer: Peer) -> None:
    await peer.subscribe()
    peer.tell()
    peer.reset()


async def ends_in_the_middle_of_a_frame(peer: Peer) -> None:
    await peer.subscribe()
    peer.tell()
    peer.write(b"\x81\x7e\xff\xff{")
    await peer.leave()


async def leaves_without_a_close_frame(peer: Peer) -> None:
    await peer.subscribe()
    peer.tell()
    await peer.leave()


async def closes_without_a_code(peer: Peer) -> None:
    await peer.subscribe()
    peer.tell()
    peer.say(b"", Opcode.CLOSE)
    await peer.goodbye()


async def closes_with_a_code_that_must_not_be_sent(peer: Peer) -> None:
    await peer.subscribe()
    peer.tell()
    peer.close(1006)
    await peer.goodbye()


async def sends_a_reserved_opcode(peer: Peer) -> None:
    await peer.subscribe()
    peer.tell()
    peer.write(b"\x83\x00")
    await peer.goodbye()


async def speaks_http_again(peer: Peer) -> None:
    await peer.subscribe()
    peer.tell()
    peer.write(b"HTTP/1.1 502 Bad Gateway\r\n\r\n" + b"<p>The gateway is bad.</p>" * 10)
    await peer.goodbye()


@pytest.mark.parametrize(
    ("way", "code"),
    [
        (reset, "1006"),
        (ends_in_the_middle_of_a_frame, "1006"),
        (leaves_without_a_close_frame, "1006"),
        (closes_without_a_code, "1005"),
        (closes_with_a_code_that_must_not_be_sent, "1002"),
        (sends_a_reserved_opcode, "1002"),
        (speaks_http_again, "1002"),
    ],
)
async def test_end_that_no_protocol_foresees_is_counted_and_followed_by_a_new_connection(
    bench: Bench, way: Way, code: str
) -> None:
    async with bench.listening(way, stay) as (server, heard):
        await until(lambda: heard.log.head == 2)
        assert (server.attempts, heard.disconnects()) == (2, {code: 1})


async def stalls_in_the_middle_of_a_frame(peer: Peer) -> None:
    await peer.subscribe()
    peer.tell()
    peer.write(b"\x81\x7e\xff\xff{")
    await peer.silence()


async def closes_but_does_not_hang_up(peer: Peer) -> None:
    await peer.subscribe()
    peer.tell()
    peer.close(1001)
    await peer.silence()


@pytest.mark.parametrize(
    ("way", "code"), [(stalls_in_the_middle_of_a_frame, "1011"), (closes_but_does_not_hang_up, "1001")]
)
async def test_server_that_stalls_is_found_out_by_a_ping(
    bench: Bench, way: Way, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PING_SECONDS", 0.1)
    async with bench.listening(way, stay) as (server, heard):
        await until(lambda: heard.log.head == 2)
        assert (server.attempts, heard.disconnects()) == (2, {code: 1})


async def never_upgrades(peer: Peer) -> None:
    await peer.silence()


async def never_answers_auth(peer: Peer) -> None:
    await peer.upgrade()
    await peer.silence()


async def leaves_at_once(peer: Peer) -> None:
    peer.reset()


async def speaks_another_protocol(peer: Peer) -> None:
    peer.write(b"SSH-2.0-OpenSSH_9.6\r\n")
    await peer.silence()


async def never_ends_its_headers(peer: Peer) -> None:
    peer.write(b"HTTP/1.1 101 Switching Protocols\r\n" + b"X-Padding: x\r\n" * 10_000)
    await peer.silence()


async def agrees_with_the_wrong_key(peer: Peer) -> None:
    await peer.upgrade(Sec_WebSocket_Accept="bm8gc3VjaCBrZXkgYXMgaXQgd2Fz")
    await peer.silence()


def replying(reply: bytes) -> Way:
    """Return a way to answer the auth message."""

    async def way(peer: Peer) -> None:
        await peer.upgrade()
        await peer.hear()
        peer.say(reply)
        await peer.goodbye()

    return way


def refusing(status: int) -> Way:
    """Return a way to refuse the upgrade."""

    async def way(peer: Peer) -> None:
        await peer.request()
        peer.write(f"HTTP/1.1 {status} No\r\nContent-Length: 2\r\nLocation: /elsewhere\r\n\r\nno".encode())
        await peer.silence()

    return way


async def closes_instead_of_an_answer_to_auth(peer: Peer) -> None:
    await peer.upgrade()
    await peer.hear()
    peer.close(1011)
    await peer.goodbye()


FRUITLESS: dict[str, tuple[Way, str]] = {
    "no answer to the upgrade": (never_upgrades, "timeout"),
    "no answer to auth": (never_answers_auth, "timeout"),
    "a reset": (leaves_at_once, "protocol"),
    "another protocol": (speaks_another_protocol, "protocol"),
    "endless headers": (never_ends_its_headers, "protocol"),
    "the wrong key": (agrees_with_the_wrong_key, "protocol"),
    "200": (refusing(200), "refused"),
    "301": (refusing(301), "refused"),
    "500": (refusing(500), "refused"),
    "nonsense for auth": (replying(b"nonsense"), "protocol"),
    "bytes for auth": (replying(b"\xff"), "protocol"),
    "a list for auth": (replying(b"[]"), "protocol"),
    "an event for auth": (replying(b'{"type":"event","event":{}}'), "protocol"),
    "a close for auth": (closes_instead_of_an_answer_to_auth, "protocol"),
}


@pytest.mark.parametrize(("way", "result"), FRUITLESS.values(), ids=FRUITLESS.keys())
async def test_fruitless_attempt_is_counted_and_tried_again_ever_more_slowly(
    bench: Bench, way: Way, result: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "OPEN_SECONDS", 0.1)
    monkeypatch.setattr(module, "REPLY_SECONDS", 0.1)
    begun = time.monotonic()
    async with bench.listening(way, way, way, stay) as (server, heard):
        await until(lambda: heard.log.head)
        assert (server.attempts, heard.connections()) == (4, {result: 3, "ok": 1})
    assert time.monotonic() - begun >= FIRST_WAIT * (1 + 2 + 4)


@pytest.mark.parametrize(
    "reply", [b'{"type":"auth_failure"}', b'{"type":"auth_failure","reason":"no"}', b'{"type":"authentication"}']
)
async def test_refusal_of_credentials_in_a_message_is_fatal_before_the_first_connection(
    health: SourceHealth, clock: ServerClock, reply: bytes
) -> None:
    async with Hostile(replying(reply)) as server:
        with pytest.raises(AuthenticationFailed, match="auth"):
            await LiveSource(Connection(server.api_url), health, clock).try_once()


async def says_nothing_and_leaves(peer: Peer) -> None:
    await peer.subscribe()
    peer.close(1000)
    await peer.goodbye()


async def test_connections_that_bring_nothing_are_made_ever_more_slowly(bench: Bench) -> None:
    begun = time.monotonic()
    async with bench.listening(*[says_nothing_and_leaves] * 3, stay) as (server, heard):
        await until(lambda: heard.log.head)
        assert (server.attempts, heard.disconnects()) == (4, {"1000": 3})
    assert time.monotonic() - begun >= FIRST_WAIT * (1 + 2 + 4)


async def test_connections_that_bring_an_event_each_are_made_at_a_bounded_rate(bench: Bench) -> None:
    begun = time.monotonic()
    async with bench.listening(closing(1000)) as (server, heard):
        await until(lambda: heard.log.head >= 20)
    assert time.monotonic() - begun >= FIRST_WAIT * 20 / 5, "on average they wait half of it"
    assert server.attempts < 25
