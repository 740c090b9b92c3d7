"""A sink gets every record, in order, at least once, at its own pace; what it refuses for good is buried."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from tenacity import RetryCallState

from schemas import Event, decode
from streamer.batching import Batching
from streamer.delivery import Delivery, Terms
from streamer.errors import Reject, Retry
from streamer.instruments import Instruments
from streamer.log import Log
from streamer.model import OLDEST, Net, Record, Sink
from streamer.redaction import Redaction
from streamer.routing import Criteria, Routing
from streamer.store.sql import SqlStore
from streamer.testing import MemorySink, an_event, until
from streamer.testing.conformance import EPOCH, events
from tests.store.agreement import opened
from tests.stores import rows

pytestmark = pytest.mark.either_store

Refusal = Callable[[Sequence[Record]], None]


def at_once(state: RetryCallState) -> float:
    """Wait for nothing before the next try."""
    return 0.0


@dataclass
class SlowSink:
    """A sink that takes nothing until `gate` is set."""

    asked: list[int] = field(default_factory=list)
    taken: list[int] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def open(self) -> None:
        """Be there."""

    async def write(self, records: Sequence[Record], /) -> None:
        seqs = [record.seq for record in records]
        self.asked += seqs
        await self.gate.wait()
        self.taken += seqs

    async def close(self) -> None:
        """Be there."""


@dataclass
class ClosedDoor:
    """A sink that cannot be opened the first times, each for another reason."""

    inner: MemorySink
    errors: list[Exception] = field(
        default_factory=lambda: [Retry("down"), OSError("no route"), Retry("down", after=0)]
    )

    async def open(self) -> None:
        if self.errors:
            raise self.errors.pop(0)
        await self.inner.open()

    async def write(self, records: Sequence[Record], /) -> None:
        await self.inner.write(records)

    async def close(self) -> None:
        await self.inner.close()


@dataclass
class Rig:
    """A log on the disk, and deliveries from it."""

    path: Path
    store: SqlStore
    log: Log
    instruments: Instruments = field(default_factory=Instruments)

    async def append(self, brought: Sequence[Event]) -> list[int]:
        """Append events, and return their places."""
        return [record.seq for record in (await self.log.append("default", brought, net=Net.LIVE)).records]

    def value(self, name: str, **labels: str) -> float | None:
        """Return what a meter about the sink shows."""
        return self.instruments.registry.get_sample_value(f"prefect_streamer_sink_{name}", {"sink": "a sink", **labels})

    @asynccontextmanager
    async def delivering(
        self,
        sink: Sink,
        *,
        name: str = "a sink",
        since: datetime | None = None,
        terms: Terms | None = None,
        redaction: Redaction | None = None,
        patience: Callable[[RetryCallState], float] = at_once,
    ) -> AsyncIterator[Delivery]:
        """Run a delivery as the service does."""
        delivery = Delivery(
            name,
            sink,
            self.log,
            self.instruments,
            since=since,
            terms=terms,
            redaction=redaction,
            patience=patience,
        )
        await delivery.open()
        running = asyncio.create_task(delivery.run())
        try:
            yield delivery
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
            await delivery.close()


@asynccontextmanager
async def rig_at(path: Path) -> AsyncIterator[Rig]:
    store = await opened(path)
    log = await Log.open(store)
    await log.open_source("default", identity="http://server/api", now=EPOCH)
    yield Rig(path, store, log)
    await store.close()


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig_at(tmp_path / "store.db") as rig:
        yield rig


def failing(*errors: Exception) -> Refusal:
    """Return a refusal that raises each of these once, and then no more."""
    left = list(errors)

    def refuse(records: Sequence[Record]) -> None:
        if left:
            raise left.pop(0)

    return refuse


def rejecting(*bad: int) -> Refusal:
    """Return a refusal of whatever holds one of these."""

    def refuse(records: Sequence[Record]) -> None:
        if found := [record.seq for record in records if record.seq in bad]:
            raise Reject(f"{found} cannot be taken")

    return refuse


async def test_records_come_in_order_and_once(rig: Rig) -> None:
    sink = MemorySink()
    async with rig.delivering(sink) as delivery:
        seqs = [seq for _ in range(20) for seq in await rig.append(events(7))]
        await delivery.drained()
        assert sink.seqs == seqs
        assert (delivery.acked, delivery.lag()) == (seqs[-1], 0)
    assert (sink.opened, sink.closed) == (1, 1)


async def test_a_backlog_comes_in_bounded_batches(rig: Rig) -> None:
    sink = MemorySink()
    seqs = await rig.append(events(2 * Batching().records + 1))
    async with rig.delivering(sink, since=OLDEST) as delivery:
        await delivery.drained()
    assert (sink.seqs, sink.writes) == (seqs, 3)


async def test_a_new_sink_starts_at_the_head(rig: Rig) -> None:
    sink = MemorySink()
    await rig.append(events(3))
    async with rig.delivering(sink) as delivery:
        await delivery.drained()
        assert sink.seqs == []
        new = await rig.append(events(2))
        await delivery.drained()
    assert sink.seqs == new


@pytest.mark.parametrize(
    ("since", "missed"),
    [(None, 3), (OLDEST, 0), (EPOCH - timedelta(hours=1) + timedelta(seconds=2), 2), (EPOCH + timedelta(hours=5), 3)],
)
async def test_history_is_for_those_who_want_it_since_then(rig: Rig, since: datetime | None, missed: int) -> None:
    sink = MemorySink()
    async with rig.delivering(sink, since=since) as delivery:
        history = await rig.append(events(3, start=EPOCH - timedelta(hours=1)))
        news = await rig.append(events(2))
        await delivery.drained()
        assert delivery.acked == news[-1]
    assert sink.seqs == history[missed:] + news
    assert rig.value("records_total", result="filtered") == (missed or None)


async def test_a_batch_of_nothing_but_history_is_passed(rig: Rig) -> None:
    sink = MemorySink()
    async with rig.delivering(sink) as delivery:
        history = await rig.append(events(3, start=EPOCH - timedelta(hours=1)))
        await delivery.drained()
        assert (delivery.acked, sink.writes) == (history[-1], 0)


async def test_the_cursor_survives_a_restart(tmp_path: Path) -> None:
    sink = MemorySink()
    async with rig_at(tmp_path / "store.db") as rig, rig.delivering(sink) as delivery:
        first = await rig.append(events(3))
        await delivery.drained()
    async with rig_at(tmp_path / "store.db") as rig:
        second = await rig.append(events(2))
        async with rig.delivering(sink) as delivery:
            await delivery.drained()
    assert sink.seqs == first + second


async def test_where_a_sink_started_is_remembered(tmp_path: Path) -> None:
    sink = MemorySink()
    async with rig_at(tmp_path / "store.db") as rig, rig.delivering(sink, since=OLDEST):
        pass
    async with rig_at(tmp_path / "store.db") as rig, rig.delivering(sink) as delivery:
        history = await rig.append(events(2, start=EPOCH - timedelta(hours=1)))
        await delivery.drained()
    assert sink.seqs == history


async def test_the_cursor_is_kept_while_it_runs(rig: Rig) -> None:
    async with rig.delivering(MemorySink()) as delivery:
        await rig.append(events(3))
        await delivery.drained()
        await until(lambda: rows(rig.path, "SELECT seq FROM cursors") == [(3,)])


async def test_what_was_not_acknowledged_comes_again_after_a_restart(rig: Rig) -> None:
    slow, sink = SlowSink(), MemorySink()
    async with rig.delivering(slow):
        seqs = await rig.append(events(3))
        await until(lambda: slow.asked == seqs)
    assert rows(rig.path, "SELECT seq FROM cursors") == [(0,)]
    async with rig.delivering(sink) as delivery:
        await delivery.drained()
    assert (slow.taken, sink.seqs) == ([], seqs)


@pytest.mark.parametrize(
    "error", [Retry("full", after=0), Retry("full"), OSError("broken pipe"), ZeroDivisionError("a bug"), TimeoutError()]
)
async def test_what_fails_for_now_is_tried_again_with_the_same_records(rig: Rig, error: Exception) -> None:
    sink = MemorySink(failing(error, error, error))
    async with rig.delivering(sink) as delivery:
        seqs = await rig.append(events(4))
        await delivery.drained()
    assert (sink.seqs, sink.writes) == (seqs, 4)
    assert (rig.value("attempts_total", result="retry"), rig.value("attempts_total", result="ok")) == (3, 1)
    assert rig.value("records_total", result="delivered") == 4


async def test_each_failure_in_a_row_is_the_next_attempt_and_success_starts_anew(rig: Rig) -> None:
    attempts: list[int] = []

    def noting(state: RetryCallState) -> float:
        attempts.append(state.attempt_number)
        return 0.0

    sink = MemorySink(failing(*[Retry("down")] * 3))
    async with rig.delivering(sink, patience=noting) as delivery:
        await rig.append(events(1))
        await delivery.drained()
        sink.refuse = failing(Retry("down again"))
        await rig.append(events(1))
        await delivery.drained()
    assert attempts == [1, 2, 3, 1]


async def test_a_sink_that_is_down_is_shown_so(rig: Rig) -> None:
    shown: list[float | None] = []

    def looking(state: RetryCallState) -> float:
        shown.append(rig.value("up"))
        return 0.0

    sink = MemorySink(failing(*[Retry("down")] * 2))
    async with rig.delivering(sink, patience=looking) as delivery:
        await rig.append(events(1))
        await delivery.drained()
        assert rig.value("up") == 1
        assert shown == [1, 0]
    assert rig.value("up") == 0


@pytest.mark.parametrize("bad", [[1], [3], [2, 5], [1, 2, 3, 4, 5]])
async def test_exactly_the_refused_records_are_buried(rig: Rig, bad: list[int]) -> None:
    sink = MemorySink(rejecting(*bad))
    async with rig.delivering(sink) as delivery:
        seqs = await rig.append(events(5))
        await delivery.drained()
        after = await rig.append(events(1))
        await delivery.drained()
    assert sink.seqs == [seq for seq in seqs if seq not in bad] + after
    buried = rows(rig.path, "SELECT sink, seq, reason FROM dead_letters ORDER BY seq")
    assert buried == [("a sink", seq, f"[{seq}] cannot be taken") for seq in bad]
    assert rig.value("records_total", result="dead_lettered") == len(bad)


async def test_a_sink_that_goes_down_while_a_refused_record_is_looked_for_is_waited_for(rig: Rig) -> None:
    reject, fail = rejecting(2), failing(Retry("down"), OSError("down"))

    def refuse(records: Sequence[Record]) -> None:
        reject(records)
        fail(records)

    sink = MemorySink(refuse)
    async with rig.delivering(sink) as delivery:
        await rig.append(events(3))
        await delivery.drained()
    assert (sink.seqs, rows(rig.path, "SELECT seq FROM dead_letters")) == ([1, 3], [(2,)])


async def test_opening_is_tried_again_too(rig: Rig) -> None:
    sink = MemorySink()
    async with rig.delivering(ClosedDoor(sink)) as delivery:
        seqs = await rig.append(events(2))
        await delivery.drained()
    assert (sink.seqs, sink.opened) == (seqs, 1)
    assert rig.value("attempts_total", result="retry") == 3


async def test_a_slow_sink_does_not_delay_another(rig: Rig) -> None:
    slow, quick = SlowSink(), MemorySink()
    async with rig.delivering(slow, name="slow") as waiting, rig.delivering(quick) as delivery:
        first = await rig.append(events(3))
        await until(lambda: slow.asked)
        seqs = first + await rig.append(events(3))
        await delivery.drained()
        assert (quick.seqs, slow.taken, waiting.lag()) == (seqs, [], 6)
        slow.gate.set()
        await waiting.drained()
    assert slow.taken == seqs


async def test_drained_waits_for_the_last_record(rig: Rig) -> None:
    slow = SlowSink()
    async with rig.delivering(slow) as delivery:
        await rig.append(events(2))
        draining = asyncio.create_task(delivery.drained())
        await until(lambda: slow.asked)
        assert not draining.done()
        slow.gate.set()
        await draining
    assert len(slow.taken) == 2


async def test_drained_waits_for_what_the_delivery_has_not_noticed_yet(rig: Rig) -> None:
    sink, deliveries = MemorySink(), list[Delivery]()

    async def drain() -> list[int]:
        await rig.log.wait(0)  # woken before the delivery, since it has waited for longer
        await deliveries[0].drained()
        return sink.seqs

    draining = asyncio.create_task(drain())
    await asyncio.sleep(0)
    async with rig.delivering(sink) as delivery:
        deliveries.append(delivery)
        await delivery.drained()
        seqs = await rig.append(events(2))
        assert await draining == seqs


class BrokenSink(MemorySink):
    async def open(self) -> None:
        raise OSError("no such place")


async def test_a_sink_that_lags_shows_since_when(rig: Rig) -> None:
    sink, brought = SlowSink(), events(2)
    async with rig.delivering(sink) as delivery:
        assert (delivery.lag(), delivery.oldest_pending()) == (0, 0)
        await rig.append(brought)
        await until(lambda: sink.asked)
        assert (delivery.lag(), delivery.oldest_pending()) == (2, brought[0].occurred.timestamp())
        sink.gate.set()
        await delivery.drained()
        assert (delivery.lag(), delivery.oldest_pending()) == (0, 0)


async def test_dead_letters_are_shown_also_after_a_restart(rig: Rig) -> None:
    def refuse(_: Sequence[Record]) -> None:
        raise Reject("never")

    async with rig.delivering(MemorySink(refuse)) as delivery:
        await rig.append(events(2))
        await delivery.drained()
    again = Rig(rig.path, rig.store, rig.log)
    async with again.delivering(MemorySink()):
        registry = again.instruments.registry
        assert registry.get_sample_value("prefect_streamer_dead_letters", {"sink": "a sink"}) == 2
        assert rig.log.size == 2


async def test_what_was_being_written_at_a_stop_is_acknowledged(rig: Rig) -> None:
    sink = SlowSink()
    async with rig.delivering(sink):
        (seq,) = await rig.append(events(1))
        await until(lambda: sink.asked)
        asyncio.get_running_loop().call_later(0.05, sink.gate.set)
    assert (await rig.store.cursor("a sink")).seq == seq


async def test_an_empty_log_is_drained_though_the_sink_cannot_be_opened(rig: Rig) -> None:
    async with rig.delivering(BrokenSink()) as delivery:
        await asyncio.wait_for(delivery.drained(), 1)


class StuckSink(MemorySink):
    """A sink whose first write never ends by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.cancelled = False

    async def write(self, records: Sequence[Record], /) -> None:
        if not self.cancelled:
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled = True
        await super().write(records)


async def test_a_write_that_takes_too_long_is_given_up_and_tried_again(rig: Rig) -> None:
    sink = StuckSink()
    async with rig.delivering(sink, terms=Terms(write_timeout=timedelta(milliseconds=100))) as delivery:
        seqs = await rig.append(events(2))
        await delivery.drained()
    assert sink.seqs == seqs
    assert rig.value("attempts_total", result="retry") == 1


async def test_a_write_that_ends_as_it_is_given_up_counts(rig: Rig) -> None:
    class Unyielding(MemorySink):
        async def write(self, records: Sequence[Record], /) -> None:
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            await super().write(records)

    sink = Unyielding()
    async with rig.delivering(sink, terms=Terms(write_timeout=timedelta(milliseconds=100))) as delivery:
        seqs = await rig.append(events(2))
        await delivery.drained()
    assert sink.seqs == seqs
    assert rig.value("attempts_total", result="retry") is None


async def test_an_open_that_takes_too_long_is_tried_again(rig: Rig) -> None:
    class NeverOpen(MemorySink):
        tries = 0

        async def open(self) -> None:
            self.tries += 1
            if self.tries == 1:
                await asyncio.Event().wait()

    sink = NeverOpen()
    async with rig.delivering(sink, terms=Terms(write_timeout=timedelta(milliseconds=100))) as delivery:
        seqs = await rig.append(events(1))
        await delivery.drained()
    assert (sink.seqs, sink.tries) == (seqs, 2)


async def test_a_sink_is_given_so_many_records_at_once_and_no_more(rig: Rig) -> None:
    sizes = []

    class Counting(MemorySink):
        async def write(self, records: Sequence[Record], /) -> None:
            sizes.append(len(records))
            await super().write(records)

    sink = Counting()
    seqs = await rig.append(events(7))
    async with rig.delivering(sink, since=OLDEST, terms=Terms(Batching(records=3))) as delivery:
        await delivery.drained()
    assert (sink.seqs, sizes) == (seqs, [3, 3, 1])


async def test_records_that_became_too_old_while_a_sink_was_down_are_counted_and_skipped(rig: Rig) -> None:
    now = datetime.now(UTC)
    old, young = events(2, start=now - timedelta(hours=2)), events(2, start=now)
    sink = MemorySink(failing(Retry("down")))
    seqs = await rig.append([*old, *young])
    async with rig.delivering(sink, since=OLDEST, terms=Terms(max_age=timedelta(hours=1))) as delivery:
        await delivery.drained()
    assert sink.seqs == seqs[2:]
    assert rig.value("records_total", result="expired") == 2
    assert rig.value("records_total", result="delivered") == 2
    assert (await rig.store.cursor("a sink")).seq == seqs[-1]


async def test_when_all_records_became_too_old_the_sink_is_not_asked(rig: Rig) -> None:
    sink = MemorySink(rejecting(1, 2))
    await rig.append(events(2, start=datetime.now(UTC) - timedelta(hours=2)))
    async with rig.delivering(sink, since=OLDEST, terms=Terms(max_age=timedelta(hours=1))) as delivery:
        await delivery.drained()
    assert (sink.seqs, rig.value("records_total", result="expired")) == ([], 2)


async def test_what_a_sink_does_not_want_is_filtered_and_counted_and_its_place_moves_on(rig: Rig) -> None:
    sink, at = MemorySink(), EPOCH + timedelta(hours=2)
    ends = [decode(orjson.dumps(an_event(occurred=at, after=state))) for state in ("FAILED", "COMPLETED")]
    terms = Terms(routing=Routing(match=Criteria(states=("FAILED",))))
    async with rig.delivering(sink, terms=terms) as delivery:
        seqs = await rig.append(ends)
        await delivery.drained()
    assert sink.seqs == seqs[:1]
    assert rig.value("records_total", result="filtered") == 1
    assert (await rig.store.cursor("a sink")).seq == seqs[1]


async def test_no_sink_sees_what_is_redacted_also_not_when_a_dead_letter_is_given_again(rig: Rig) -> None:
    sink = MemorySink(failing(Reject("never")))
    redaction = Redaction.model_validate({"mask": ["hunter2"]})
    event = an_event(occurred=EPOCH + timedelta(hours=2), after="FAILED", message="password=hunter2")
    assert b"hunter2" in orjson.dumps(event)
    async with rig.delivering(sink, redaction=redaction) as delivery:
        (seq,) = await rig.append([decode(orjson.dumps(event))])
        await delivery.drained()
        (letter,) = await rig.store.buried_records("a sink", [seq])
        assert await delivery.retry(letter) is None
    (taken,) = sink.records
    assert b"password=***" in taken.event.raw
    assert b"hunter2" not in taken.event.raw
