"""A link connects when it is needed, and lets go of a connection whose use failed, was cancelled or took too long."""

import asyncio
from dataclasses import dataclass, field

import pytest

from streamer.errors import Reject, Retry
from streamer.sinks import link as under_test
from streamer.sinks.link import Link, all_unless_lost


class LibraryError(Exception):
    """What a library raises."""


@dataclass
class Exchange:
    """Connects, and keeps what became of each connection."""

    refusals: list[Exception] = field(default_factory=list)
    made: int = 0
    closed: list[int] = field(default_factory=list)
    goodbye: asyncio.Event | None = None

    def link(self) -> Link[int]:
        return Link("the exchange", make=self.make, connect=self.connect, disconnect=self.close, errors=(LibraryError,))

    def make(self) -> int:
        self.made += 1
        return self.made

    async def connect(self, connection: int) -> None:
        if self.refusals:
            raise self.refusals.pop()

    async def close(self, connection: int) -> None:
        self.closed.append(connection)
        if self.goodbye:
            await self.goodbye.wait()


async def test_a_connection_is_used_again() -> None:
    exchange = Exchange()
    link = exchange.link()
    for _ in range(2):
        async with link.use() as connection:
            assert connection == 1
    await link.close()
    await link.close()
    assert exchange.closed == [1]


@pytest.mark.parametrize("error", [LibraryError("no"), OSError("no")])
async def test_a_connection_whose_use_failed_is_replaced(error: Exception) -> None:
    exchange = Exchange()
    link = exchange.link()
    with pytest.raises(Retry, match="the exchange: no"):
        async with link.use():
            raise error
    async with link.use() as connection:
        assert connection == 2
    assert exchange.closed == [1]


async def test_what_is_refused_for_good_stays_so() -> None:
    with pytest.raises(Reject, match="never"):
        async with Exchange().link().use():
            raise Reject("never")


async def test_an_error_without_words_is_named() -> None:
    with pytest.raises(Retry, match="the exchange: LibraryError"):
        async with Exchange(refusals=[LibraryError()]).link().use():
            pass


async def test_a_connection_that_did_not_come_about_is_closed() -> None:
    exchange = Exchange(refusals=[LibraryError("no")])
    link = exchange.link()
    with pytest.raises(Retry, match="the exchange: no"):
        async with link.use():
            pass
    async with link.use() as connection:
        assert connection == 2
    assert exchange.closed == [1]


async def test_a_use_that_was_cancelled_leaves_nothing_behind() -> None:
    exchange = Exchange()
    link = exchange.link()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01), link.use():
            await asyncio.Event().wait()
    async with link.use() as connection:
        assert connection == 2
    assert exchange.closed == [1]


async def test_a_use_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "ANSWER_SECONDS", 0.01)
    with pytest.raises(Retry, match="the exchange did not answer in time"):
        async with Exchange().link().use():
            await asyncio.Event().wait()


async def test_a_destination_that_does_not_say_goodbye_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "CLOSE_SECONDS", 0.01)
    link = Exchange(goodbye=asyncio.Event()).link()
    async with link.use():
        pass
    await link.close()


async def test_acknowledgements_are_awaited_in_the_order_they_were_begun() -> None:
    begun = []

    async def acknowledge(number: int) -> None:
        begun.append(number)
        await asyncio.sleep(0)

    await all_unless_lost(asyncio.Event().wait(), map(acknowledge, range(100)))
    assert begun == list(range(100))


async def test_nothing_to_acknowledge_is_acknowledged() -> None:
    await all_unless_lost(asyncio.Event().wait(), [])


async def test_a_lost_connection_ends_the_wait() -> None:
    never = asyncio.Event()
    with pytest.raises(ConnectionError, match="the connection was lost"):
        await all_unless_lost(asyncio.sleep(0), [never.wait()])


async def test_the_first_failure_ends_the_wait() -> None:
    async def fail() -> None:
        raise LibraryError("no")

    with pytest.raises(LibraryError):
        await all_unless_lost(asyncio.Event().wait(), [asyncio.Event().wait(), fail()])
