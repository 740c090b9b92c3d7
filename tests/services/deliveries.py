"""What every sink to a broker is put through: the broker dies in the middle, stalls, or does not know the password."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

import pytest

from streamer import sinks
from streamer.errors import Retry
from streamer.model import Record, Sink
from streamer.testing import until
from streamer.testing.conformance import events
from tests.services.brokers import Broker

BATCH = 20


def made(spec: str, **options: object) -> Sink:
    """Return the sink of a spec, with more options as a file could give them."""
    kind, given = sinks.parse(spec)
    return sinks.build(kind, given | options)


def records(number: int) -> list[Record]:
    """Return so many records of a log."""
    return [Record(seq, "default", event) for seq, event in enumerate(events(number), 1)]


def ids(some: Sequence[Record]) -> list[str]:
    """Return the ids of the events, as a destination has them."""
    return [str(record.event.id) for record in some]


def first_occurrences(found: Sequence[str]) -> list[str]:
    """Return what a consumer has that passes over what it had before."""
    return list(dict.fromkeys(found))


@asynccontextmanager
async def opened(sink: Sink) -> AsyncIterator[Sink]:
    """Open a sink for the length of a block."""
    await sink.open()
    try:
        yield sink
    finally:
        await sink.close()


async def deliver(sink: Sink, some: Sequence[Record], acknowledged: list[Record]) -> None:
    """Write in batches, each as often as it takes; note what was acknowledged."""
    for start in range(0, len(some), BATCH):
        batch = some[start : start + BATCH]
        await until(partial(_takes, sink, batch), seconds=60)
        acknowledged += batch


async def _takes(sink: Sink, batch: Sequence[Record]) -> bool:
    try:
        await sink.write(batch)
    except Retry:
        return False
    return True


async def deliver_through_a_kill(sink: Sink, some: Sequence[Record], broker: Broker) -> None:
    """Deliver all, while the broker is killed in the middle and started again on what it has on disk."""
    acknowledged: list[Record] = []
    delivering = asyncio.create_task(deliver(sink, some, acknowledged))
    await until(lambda: len(acknowledged) > len(some) // 3)
    await asyncio.to_thread(broker.kill)
    assert len(acknowledged) < len(some), "the broker was killed too late to matter"
    await asyncio.to_thread(broker.start)
    await delivering


async def deliver_through_a_stall(sink: Sink, some: Sequence[Record], broker: Broker) -> None:
    """Deliver all, while the broker stalls and one write is given up, as the time-out of a delivery does it."""
    await sink.write(some[:BATCH])
    broker.pause()
    try:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await sink.write(some[BATCH : 2 * BATCH])
    finally:
        broker.resume()
    await deliver(sink, some[BATCH:], [])


async def refusal_of(sink: Sink) -> str:
    """Return what a sink says that cannot be opened, with its hint."""
    with pytest.raises(Retry) as caught:
        await sink.open()
    await sink.close()
    return f"{caught.value} {caught.value.hint}"
