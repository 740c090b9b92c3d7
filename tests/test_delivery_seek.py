"""A sink that is moved to another place goes on from there, whatever was being done meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from tenacity import RetryCallState

from streamer import delivery as deliveries
from streamer.delivery import Terms
from streamer.errors import Reject, Retry
from streamer.model import OLDEST, Record
from streamer.testing import MemorySink, until
from streamer.testing.conformance import EPOCH, events
from tests.stores import rows
from tests.test_delivery import BrokenSink, Rig, SlowSink, StuckSink, failing, rig_at

pytestmark = pytest.mark.either_store


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig_at(tmp_path / "store.db") as rig:
        yield rig


def never_again(state: RetryCallState) -> float:
    """Wait for an hour before the next try."""
    return 3600.0


async def test_a_sink_that_is_moved_back_is_given_again_what_came_since(rig: Rig) -> None:
    sink, brought = MemorySink(), events(5)
    async with rig.delivering(sink) as delivery:
        seqs = await rig.append(brought)
        await delivery.drained()
        sought = await delivery.seek(brought[3].occurred)
        assert (sought.before.seq, sought.after.seq) == (seqs[-1], seqs[2])
        await delivery.drained()
        assert sink.seqs == seqs + seqs[3:]
        new = await rig.append(events(1))
        await delivery.drained()
    assert sink.seqs[-1:] == new
    assert (await rig.store.cursor("a sink")).seq == new[0]


async def test_history_comes_again_only_since_the_time_that_was_asked_for(rig: Rig) -> None:
    sink = MemorySink()
    history = events(3, start=EPOCH - timedelta(hours=1))
    async with rig.delivering(sink) as delivery:
        seqs = await rig.append([*history, *events(1)])
        await delivery.drained()
        assert sink.seqs == seqs[3:]
        await delivery.seek(history[1].occurred)
        await delivery.drained()
    assert sink.seqs == seqs[3:] + seqs[1:]


async def test_a_write_in_flight_ends_before_the_seek_and_moves_nothing_after_it(rig: Rig) -> None:
    sink = SlowSink()
    async with rig.delivering(sink) as delivery:
        seqs = await rig.append(events(3))
        await until(lambda: sink.asked == seqs)
        seeking = asyncio.create_task(delivery.seek(OLDEST))
        await rig.append(events(1))
        assert not seeking.done()
        sink.gate.set()
        sought = await seeking
        assert (sought.before.seq, sought.after.seq, delivery.acked) == (seqs[-1], 0, 0), "the write itself counts"
        await delivery.drained()
        assert sink.taken == [*seqs, *seqs, delivery.acked]
    assert (await rig.store.cursor("a sink")).seq == rig.log.head


async def test_a_write_that_does_not_end_is_given_up_for_the_seek(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "CLOSE_SECONDS", 0.05)
    sink = StuckSink()
    async with rig.delivering(sink) as delivery:
        seqs = await rig.append(events(3))
        await until(lambda: delivery.oldest_pending())
        sought = await delivery.seek(None)
        assert (sought.before.seq, sought.after.seq, delivery.acked) == (0, seqs[-1], seqs[-1])
        new = await rig.append(events(1))
        await delivery.drained()
    assert (sink.cancelled, sink.seqs) == (True, new)


async def test_a_write_that_ends_long_after_the_seek_moves_nothing(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "CLOSE_SECONDS", 0.05)
    gate = asyncio.Event()

    class Unyielding(MemorySink):
        async def write(self, records: Sequence[Record], /) -> None:
            self.writes += 1
            while not gate.is_set():
                with suppress(asyncio.CancelledError):
                    await gate.wait()
            self.records.extend(records)

    sink = Unyielding()
    async with rig.delivering(sink) as delivery:
        seqs = await rig.append(events(3))
        await until(lambda: sink.writes == 1)
        await delivery.seek(OLDEST)
        await until(lambda: sink.writes == 2)
        assert (delivery.acked, rows(rig.path, "SELECT seq FROM cursors")) == (0, [(0,)])
        gate.set()
        await delivery.drained()
    assert sink.seqs == seqs * 2


async def test_a_sink_that_is_down_is_moved_at_once(rig: Rig) -> None:
    sink = MemorySink(failing(Retry("down")))
    async with rig.delivering(sink, patience=never_again) as delivery:
        await rig.append(events(3))
        await until(lambda: delivery.trouble == "down")
        await delivery.seek(None)
        new = await rig.append(events(1))
        await delivery.drained()
        assert delivery.trouble is None
    assert sink.seqs == new


async def test_a_sink_that_cannot_be_opened_is_moved_too(rig: Rig) -> None:
    sink = BrokenSink()
    async with rig.delivering(sink, patience=never_again) as delivery:
        seqs = await rig.append(events(3))
        await until(lambda: delivery.trouble)
        await delivery.seek(None)
        assert (delivery.acked, delivery.is_open) == (seqs[-1], False)
        with pytest.raises(Retry, match="no such place"):
            await delivery.give((await rig.log.after(0, 1))[0])
    assert (await rig.store.cursor("a sink")).seq == seqs[-1]


async def test_a_seek_that_is_broken_off_leaves_no_two_writes_at_once(rig: Rig) -> None:
    sink = SlowSink()
    async with rig.delivering(sink) as delivery:
        seqs = await rig.append(events(2))
        await until(lambda: sink.asked == seqs)
        seeking = asyncio.create_task(delivery.seek(OLDEST))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        seeking.cancel()
        with suppress(asyncio.CancelledError):
            await seeking
        new = await rig.append(events(1))
        assert sink.asked == seqs
        sink.gate.set()
        await delivery.drained()
    assert sink.taken == seqs + new


async def test_what_is_given_out_of_turn_says_whether_it_may_be_tried_again(rig: Rig) -> None:
    sink = MemorySink(failing(Reject("never"), ZeroDivisionError("a bug")))
    async with rig.delivering(sink) as delivery:
        await until(lambda: delivery.is_open)
        record = Record(7, "default", events(1)[0])
        with pytest.raises(Reject, match="never"):
            await delivery.give(record)
        with pytest.raises(Retry, match="ZeroDivisionError: a bug"):
            await delivery.give(record)
        await delivery.give(record)
        assert (sink.seqs, delivery.acked) == ([7], 0)


async def test_what_is_given_out_of_turn_is_waited_for_no_longer_than_a_write(rig: Rig) -> None:
    async with rig.delivering(SlowSink(), terms=Terms(write_timeout=timedelta(milliseconds=100))) as delivery:
        await until(lambda: delivery.is_open)
        with pytest.raises(Retry, match="longer than"):
            await delivery.give(Record(7, "default", events(1)[0]))


async def test_a_sink_whose_last_write_was_given_up_is_closed(rig: Rig) -> None:
    sink = StuckSink()
    terms = Terms(write_timeout=timedelta(milliseconds=100))
    async with rig.delivering(sink, terms=terms, patience=never_again) as delivery:
        await rig.append(events(1))
        await until(lambda: delivery.trouble)
    assert sink.closed == 1
