"""A reader is given at once what has arrived, up to a number of records or bytes, and may wait for more."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from streamer.batching import Batching
from streamer.log import Log
from streamer.model import Net
from streamer.testing.conformance import events
from tests.store.agreement import opened

pytestmark = pytest.mark.either_store

LONG, SHORT = timedelta(minutes=1), timedelta(milliseconds=20)


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[Log]:
    store = await opened(tmp_path / "test.db")
    yield await Log.open(store)
    await store.close()


async def append(log: Log, number: int) -> int:
    """Append so many records, and return the size of each."""
    records = (await log.append("default", events(number), net=Net.LIVE)).records
    (size,) = {len(record.event.raw) for record in records}
    return size


async def taken(log: Log, batching: Batching) -> int:
    return len(await batching.next(log, 0))


async def test_it_is_what_has_arrived_up_to_a_number(log: Log) -> None:
    await append(log, 5)
    assert await taken(log, Batching()) == 5
    assert await taken(log, Batching(records=3)) == 3
    assert not await Batching().next(log, log.head)


async def test_it_is_no_larger_than_so_many_bytes_but_for_a_single_record(log: Log) -> None:
    size = await append(log, 5)
    assert await taken(log, Batching(size=3 * size)) == 3
    assert await taken(log, Batching(size=3 * size - 1)) == 2
    assert await taken(log, Batching(size=1)) == 1


async def test_it_waits_for_more_until_it_is_full(log: Log) -> None:
    await append(log, 2)
    waiting = asyncio.create_task(Batching(records=5, linger=LONG).next(log, 0))
    while not waiting.done():
        assert log.head < 5, "it waits though it is full"
        await append(log, 1)
    assert len(waiting.result()) == 5


async def test_it_waits_for_more_until_its_bytes_are_full(log: Log) -> None:
    size = await append(log, 2)
    waiting = asyncio.create_task(Batching(size=3 * size, linger=LONG).next(log, 0))
    while not waiting.done():
        assert log.head < 4, "it waits though it is full"
        await append(log, 1)
    assert len(waiting.result()) == 3


async def test_it_waits_no_longer_than_it_lingers(log: Log) -> None:
    await append(log, 2)
    assert await taken(log, Batching(linger=SHORT)) == 2


async def test_what_is_full_does_not_wait(log: Log) -> None:
    await append(log, 5)
    async with asyncio.timeout(1):
        assert await taken(log, Batching(records=5, linger=LONG)) == 5
