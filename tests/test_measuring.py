"""How long runs waited and took: each measured once, whatever comes when, and in which batch."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from schemas import Event, StateType, decode, notices
from streamer import measuring
from streamer.counting import Counting
from streamer.measuring import Finish, Measure
from streamer.model import Counter, Dues, Family, Measured, Net, RunState
from streamer.runs import AWAITING_RETRY
from streamer.testing import an_event
from streamer.testing.conformance import EPOCH
from tests.frames import bare, transition
from tests.store.agreement import IDENTITY
from tests.stores import open_store

pytestmark = pytest.mark.either_store

RUN = UUID(int=7)
START = EPOCH + timedelta(hours=1)
STARTED = RunState(RUN, "default", started_at=START)


def at(second: float) -> datetime:
    return START + timedelta(seconds=second)


def move(second: float, after: str, *, before: str | None = None, run: UUID = RUN, **changes: Any) -> Event:
    """Return a transition; what is no first RUNNING comes from RUNNING, unless told otherwise."""
    before = before or ("PENDING" if after == "RUNNING" else "RUNNING")
    return decode(orjson.dumps(an_event(run=str(run), before=before, after=after, occurred=at(second), **changes)))


def waiting(second: float) -> Event:
    """Return the wait for another attempt after a failure."""
    return decode(bare(transition("FAILED", "SCHEDULED", name=AWAITING_RETRY, run=RUN, occurred=at(second))))


def finish(second: float, after: str) -> Finish:
    return Finish(at(second), StateType(after))


class Bench:
    """A store that is closed and opened again after each step, if so asked."""

    def __init__(self, path: Path, *, reopening: bool, counting: Counting | None = None) -> None:
        self._path = path
        self._reopening = reopening
        self._counting = counting

    async def open(self) -> None:
        self.store = open_store(self._path, counting=self._counting)
        await self.store.open_source("default", identity=IDENTITY, now=EPOCH)

    async def append(self, *events: Event) -> list[tuple[Family, float]]:
        appended = await self.store.append("default", events, net=Net.LIVE)
        return await self._told(list(appended.measured))

    async def learn(self, due: datetime | None, run: UUID = RUN) -> list[tuple[Family, float]]:
        appended = await self.store.learn(Dues("default", {run: due}))
        return await self._told(list(appended.measured))

    async def totals(self, *families: Family) -> dict[tuple[Family, tuple[str, ...]], int]:
        counts = (await self.store.totals()).counts
        return {(each.family, each.labels): value for each, value in counts.items() if each.family in families}

    async def _told(self, measured: list[Measured]) -> list[tuple[Family, float]]:
        assert all(each.run for each in measured)
        if self._reopening:
            await self.store.close()
            await self.open()
        return [(each.counter.family, each.seconds) for each in measured]


@pytest.fixture(params=[False, True], ids=["open", "reopened"])
async def bench(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path / "store.db", reopening=request.param)
    await bench.open()
    yield bench
    await bench.store.close()


def test_a_run_that_never_ran_has_no_times() -> None:
    ended = RunState(RUN, "default", due=START, ended_at=at(5), state_type=StateType.CRASHED)
    assert not measuring.is_open(ended)
    assert list(measuring.measures(ended)) == []
    assert measuring.measured(ended) == ended


@pytest.mark.parametrize(("due", "seconds"), [(-30, 30.0), (0, 0.0), (30, 0.0)])
def test_wait_is_from_due_to_start_and_never_negative(due: int, seconds: float) -> None:
    run = replace(STARTED, due=at(due))
    assert measuring.is_open(run)
    assert list(measuring.measures(run)) == [Measure(Family.QUEUE_WAIT, seconds, START)]


def test_duration_is_from_first_start_to_end_by_how_it_ended() -> None:
    run = replace(STARTED, ended_at=at(9), state_type=StateType.CANCELLED)
    assert measuring.is_open(run)
    assert list(measuring.measures(run)) == [Measure(Family.DURATION, 9.0, at(9), ("CANCELLED",))]


def test_an_end_before_the_start_took_no_time_that_could_be_told() -> None:
    assert list(measuring.measures(STARTED, [finish(-1, "CRASHED")])) == []


def test_what_was_measured_is_not_open_any_more() -> None:
    run = replace(STARTED, due=START, ended_at=at(9), state_type=StateType.COMPLETED)
    done = measuring.measured(run)
    assert (done.waited, done.lasted) == (True, True)
    assert not measuring.is_open(done)
    assert list(measuring.measures(done)) == []


def test_an_end_that_has_just_come_is_measured_beside_the_one_that_was() -> None:
    run = replace(STARTED, ended_at=at(30), state_type=StateType.COMPLETED, lasted=True)
    (measure,) = measuring.measures(run, [finish(10, "FAILED")])
    assert (measure.seconds, measure.labels) == (10.0, ("FAILED",))


async def test_a_finish_is_measured_once(bench: Bench) -> None:
    await bench.append(move(0, "RUNNING"))
    end = move(20, "COMPLETED")
    assert await bench.append(end) == [(Family.DURATION, 20.0)]
    assert await bench.append(end, move(1, "RUNNING", before="RUNNING")) == []
    assert await bench.totals(Family.DURATION, Family.DURATION_SUM) == {
        (Family.DURATION, ("COMPLETED", "60.0")): 1,
        (Family.DURATION_SUM, ("COMPLETED",)): 20_000_000,
    }


async def test_a_finish_that_came_before_its_start_is_measured_when_that_comes(bench: Bench) -> None:
    assert await bench.append(move(20, "FAILED")) == []
    assert await bench.append(move(0, "RUNNING")) == [(Family.DURATION, 20.0)]
    assert await bench.append(move(-5, "PENDING", before="SCHEDULED")) == []


@pytest.mark.parametrize("together", [True, False])
async def test_two_lives_of_a_run_have_two_ends(bench: Bench, together: bool) -> None:
    events = [
        *(move(0, "RUNNING"), move(10, "FAILED"), waiting(11)),
        *(move(20, "RUNNING", before="SCHEDULED"), move(30, "COMPLETED")),
    ]
    found = []
    for batch in [events] if together else [[each] for each in events]:
        found += await bench.append(*batch)
    assert found == [(Family.DURATION, 10.0), (Family.DURATION, 30.0)]


async def test_an_older_finish_that_came_late_is_measured_too(bench: Bench) -> None:
    await bench.append(move(0, "RUNNING"), waiting(11), move(20, "RUNNING", before="SCHEDULED"), move(30, "COMPLETED"))
    assert await bench.append(move(10, "FAILED")) == [(Family.DURATION, 10.0)]


async def test_a_run_with_a_hole_is_not_measured_until_what_was_missing_came(bench: Bench) -> None:
    missing = move(15, "RUNNING", before="PAUSED", id=str(uuid4()))
    await bench.append(move(0, "RUNNING"))
    assert await bench.append(move(20, "COMPLETED", follows=str(missing.id))) == []
    assert await bench.totals(Family.DURATION) == {}
    assert await bench.append(missing) == [(Family.DURATION, 20.0)]


async def test_all_finishes_are_measured_once_what_was_missing_came(bench: Bench) -> None:
    missing = move(5, "RUNNING", before="PAUSED", id=str(uuid4()))
    await bench.append(move(0, "RUNNING"))
    assert await bench.append(move(10, "FAILED", follows=str(missing.id)), waiting(11)) == []
    assert await bench.append(move(20, "RUNNING", before="SCHEDULED"), move(30, "COMPLETED")) == []
    assert await bench.append(missing) == [(Family.DURATION, 10.0), (Family.DURATION, 30.0)]
    assert await bench.append(move(40, "RUNNING", before="COMPLETED")) == []


async def test_all_finishes_that_came_before_the_start_are_measured_when_that_comes(bench: Bench) -> None:
    assert await bench.append(move(10, "FAILED")) == []
    assert await bench.append(waiting(11), move(30, "COMPLETED", before="PENDING")) == []
    assert await bench.append(move(0, "RUNNING")) == [(Family.DURATION, 10.0), (Family.DURATION, 30.0)]


async def test_a_finish_that_was_rolled_back_before_it_could_be_measured_is_none(bench: Bench) -> None:
    missing = move(5, "RUNNING", before="PAUSED", id=str(uuid4()))
    rolled_back = move(10, "FAILED", follows=str(missing.id))
    await bench.append(move(0, "RUNNING"), rolled_back, move(30, "COMPLETED"))
    await bench.append(notices.phantom("default", RUN, rolled_back.id, occurred=rolled_back.occurred))
    assert await bench.append(missing) == [(Family.DURATION, 30.0)]


@pytest.mark.parametrize("due_first", [True, False])
async def test_a_wait_is_measured_once_whether_the_due_time_is_told_before_or_after_the_start(
    bench: Bench, due_first: bool
) -> None:
    await bench.append(move(-20, "PENDING", before="SCHEDULED"))
    if due_first:
        assert await bench.learn(at(-12)) == []
        assert await bench.append(move(0, "RUNNING")) == [(Family.QUEUE_WAIT, 12.0)]
    else:
        assert await bench.append(move(0, "RUNNING")) == []
        assert await bench.learn(at(-12)) == [(Family.QUEUE_WAIT, 12.0)]
    assert await bench.learn(at(-12)) == []
    assert await bench.append(move(3, "RUNNING", before="RUNNING")) == []
    assert await bench.totals(Family.QUEUE_WAIT, Family.QUEUE_WAIT_SUM) == {
        (Family.QUEUE_WAIT, ("15.0",)): 1,
        (Family.QUEUE_WAIT_SUM, ()): 12_000_000,
    }


async def test_a_run_that_began_early_has_waited_0_seconds(bench: Bench) -> None:
    await bench.append(move(0, "RUNNING"))
    assert await bench.learn(at(60)) == [(Family.QUEUE_WAIT, 0.0)]


async def test_a_run_of_which_nobody_knows_was_due_when_it_was_first_seen(bench: Bench) -> None:
    await bench.append(move(-8, "PENDING", before="SCHEDULED"), move(0, "RUNNING"))
    await bench.append(notices.deleted("default", RUN, occurred=at(9)))
    assert await bench.learn(None) == [(Family.QUEUE_WAIT, 8.0)]


async def test_a_due_time_of_a_run_that_is_not_here_is_passed_over(bench: Bench) -> None:
    assert await bench.learn(START) == []
    assert await bench.store.run(RUN) is None


async def test_nothing_that_ended_before_the_epoch_is_observed(bench: Bench) -> None:
    early = -7200.0
    assert await bench.append(move(early, "RUNNING"), move(early + 9, "COMPLETED")) == []
    assert await bench.learn(at(early - 5)) == []
    assert await bench.totals(Family.DURATION, Family.QUEUE_WAIT) == {}


async def test_a_run_over_the_epoch_is_observed_at_its_end_only(bench: Bench) -> None:
    await bench.append(move(-3605, "RUNNING"))
    assert await bench.learn(at(-3700)) == []
    assert await bench.append(move(-3590, "COMPLETED")) == [(Family.DURATION, 15.0)]


async def test_a_wait_and_a_duration_become_known_in_one_batch(bench: Bench) -> None:
    await bench.append(move(-20, "PENDING", before="SCHEDULED"))
    await bench.learn(at(-10))
    both = await bench.append(move(0, "RUNNING"), move(5, "CRASHED"))
    assert both == [(Family.QUEUE_WAIT, 10.0), (Family.DURATION, 5.0)]


async def test_what_is_longer_than_all_buckets_is_beyond_the_last(bench: Bench) -> None:
    await bench.append(move(0, "RUNNING"), move(86_401, "COMPLETED"))
    assert await bench.totals(Family.DURATION) == {(Family.DURATION, ("COMPLETED", "+Inf")): 1}


async def test_a_bound_belongs_to_its_bucket(bench: Bench) -> None:
    await bench.append(move(0, "RUNNING"), move(5, "COMPLETED"))
    assert await bench.totals(Family.DURATION) == {(Family.DURATION, ("COMPLETED", "5.0")): 1}


async def test_empty_bounds_switch_a_histogram_off(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "store.db", reopening=False, counting=Counting(duration_buckets=()))
    await bench.open()
    await bench.append(move(0, "RUNNING"), move(5, "COMPLETED"))
    assert await bench.learn(START) == [(Family.QUEUE_WAIT, 0.0)]
    assert await bench.totals(Family.DURATION, Family.DURATION_SUM) == {}
    await bench.store.close()


async def test_a_histogram_tells_apart_what_the_run_belongs_to(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "store.db", reopening=False, counting=Counting(more=("tag_team", "state_name")))
    await bench.open()
    start = move(0, "RUNNING")
    tag = {"prefect.resource.id": "prefect.tag.team:data", "prefect.resource.role": "tag"}
    related = [*orjson.loads(start.raw)["related"], tag]
    await bench.append(start, move(5, "COMPLETED", related=related))
    (counter,) = (each for each in (await bench.store.totals()).counts if each.family is Family.DURATION)
    assert start.flow
    assert counter == Counter(
        *(Family.DURATION, "default", start.flow.id), labels=("COMPLETED", "5.0"), more=(("tag_team", "data"),)
    )
    await bench.store.close()


async def test_runs_are_without_due_until_it_is_learned_and_deleted_ones_are_not(bench: Bench) -> None:
    learned, unknown, gone = (uuid4() for _ in range(3))
    for run in (learned, unknown, gone):
        await bench.append(move(0, "RUNNING", run=run))
    await bench.append(notices.deleted("default", gone, occurred=at(1)))
    await bench.learn(START, learned)
    assert await bench.store.without_due("default", 10) == {unknown}
    assert await bench.store.without_due("default", 0) == set()
