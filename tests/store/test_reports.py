"""What the store says of runs over a time: by buckets, in sum, and one by one."""

import random
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from statistics import fmean
from typing import Any
from uuid import UUID, uuid4

import pytest

from schemas import Event, decode, notices
from streamer.model import Dues, Net
from streamer.reports import Bucket, Outcome, Span, Statistics
from streamer.store.sql import SqlStore
from streamer.testing.conformance import EPOCH
from tests.frames import bare, related, transition
from tests.store.agreement import opened

pytestmark = pytest.mark.either_store

START = EPOCH + timedelta(days=1)
HOUR = timedelta(hours=1)
LATER = 10 * 3600
Seen = list[tuple[str, int, float, float]]


def at(second: float) -> datetime:
    return START + timedelta(seconds=second)


class Bench:
    """A store of runs that were moved and due at seconds after `START`."""

    def __init__(self, store: SqlStore) -> None:
        self.store = store

    async def run(
        self, *moves: tuple[float, str], due: float | None = None, flow: str = "etl", deployment: str = "", **more: Any
    ) -> UUID:
        """Put a run through these states, and return it."""
        ident, before = uuid4(), "SCHEDULED"
        parties = [related("flow", f"prefect.flow.id-{flow}", name=flow)] if flow else []
        parties += [related("deployment", f"prefect.deployment.{deployment}", name=deployment)] if deployment else []
        events: list[Event] = []
        for second, state in moves:
            moved = transition(before, state, run=ident, occurred=at(second), related=parties, **more)
            events.append(decode(bare(moved)))
            before = state
        await self.store.append("default", events, net=Net.LIVE)
        if due is not None:
            await self.store.learn(Dues("default", {ident: at(due)}))
        return ident

    async def delete(self, run: UUID) -> None:
        await self.store.append("default", [notices.deleted("default", run, occurred=at(LATER))], net=Net.LIVE)

    async def history(self, number: int = 1, *flows: str, now: float = LATER) -> list[Seen]:
        """Return type, number, seconds of running and of lateness of each state, bucket by bucket of an hour."""
        found = await self.store.run_history(Span(START, HOUR, number, flows), now=at(now))
        assert [each.interval_start for each in found] == [START + place * HOUR for place in range(number)]
        assert all(each.interval_end - each.interval_start == HOUR for each in found)
        return [_seen(bucket) for bucket in found]


def _seen(bucket: Bucket) -> Seen:
    return [
        (each.state_type, each.count_runs, each.sum_estimated_run_time, each.sum_estimated_lateness)
        for each in bucket.states
    ]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    store = await opened(tmp_path / "store.db")
    yield Bench(store)
    await store.close()


async def test_a_run_is_in_the_bucket_at_whose_start_it_was_due(bench: Bench) -> None:
    for due in (-0.000001, 0, 3599.999999, 3600, 7200):
        await bench.run((20_000, "PENDING"), (20_001, "RUNNING"), (20_002, "COMPLETED"), due=due)
    found = await bench.history(2)
    assert [[(state, number) for state, number, *_ in each] for each in found] == [
        [("COMPLETED", 2)],
        [("COMPLETED", 1)],
    ]


async def test_a_bucket_without_runs_is_there_and_empty(bench: Bench) -> None:
    await bench.run((0, "PENDING"), due=7200)
    assert [len(each) for each in await bench.history(4)] == [0, 0, 1, 0]


async def test_states_of_one_type_are_told_apart_by_name(bench: Bench) -> None:
    for name in ("Late", "Late", "Scheduled"):
        await bench.run((0, "SCHEDULED"), due=0, name=name)
    (bucket,) = await bench.store.run_history(Span(START, HOUR, 1), now=at(1))
    assert [(each.state_name, each.count_runs) for each in bucket.states] == [("Late", 2), ("Scheduled", 1)]


async def test_flows_are_chosen_by_name(bench: Bench) -> None:
    for flow in ("a", "a", "b", "c", ""):
        await bench.run((0, "PENDING"), due=0, flow=flow)
    assert await bench.history(1, "a", "c", "none such", now=0) == [[("PENDING", 3, 0, 0)]]
    assert await bench.history(1, "none such") == [[]]
    assert await bench.history(1, now=0) == [[("PENDING", 5, 0, 0)]]


async def test_deleted_runs_and_those_without_a_due_time_are_in_no_bucket(bench: Bench) -> None:
    await bench.delete(await bench.run((0, "PENDING"), due=0))
    await bench.run((0, "PENDING"))
    assert await bench.history() == [[]]


async def test_the_time_of_several_attempts_is_summed(bench: Bench) -> None:
    moves = [(0, "RUNNING"), (10, "SCHEDULED"), (100, "RUNNING"), (105, "PAUSED"), (200, "RUNNING"), (203, "FAILED")]
    await bench.run(*moves, due=0)
    assert await bench.history() == [[("FAILED", 1, 18, 0)]]


async def test_what_runs_has_run_until_now(bench: Bench) -> None:
    await bench.run((0, "RUNNING"), (10, "SCHEDULED"), (100, "RUNNING"), due=0)
    assert await bench.history(now=130) == [[("RUNNING", 1, 40, 0)]]


async def test_what_was_rolled_back_has_not_run(bench: Bench) -> None:
    run = await bench.run((0, "RUNNING"), (10, "COMPLETED"), due=0)
    completed = (await bench.store.history(run))[-1].event.id
    phantom = notices.phantom("default", run, completed, occurred=at(11))
    await bench.store.append("default", [phantom], net=Net.STATES)
    assert await bench.history(now=60) == [[("RUNNING", 1, 60, 0)]]


@pytest.mark.parametrize(
    ("moves", "late"),
    [
        ([(0, "PENDING"), (40, "RUNNING")], 30),
        ([(0, "PENDING"), (5, "RUNNING")], 0),
        ([(0, "PENDING")], 90),
        ([(0, "PENDING"), (50, "CANCELLED")], 0),
    ],
    ids=["started late", "started early", "not started", "ended without a start"],
)
async def test_lateness_is_until_the_start_or_now(bench: Bench, moves: list[tuple[float, str]], late: float) -> None:
    await bench.run(*moves, due=10)
    ((state,),) = await bench.history(now=100)
    assert state[3] == late


async def test_what_is_due_later_is_not_late_yet(bench: Bench) -> None:
    await bench.run((0, "SCHEDULED"), due=50)
    assert await bench.history(now=20) == [[("SCHEDULED", 1, 0, 0)]]


@dataclass
class Drawn:
    """A run as it was drawn, for the naive computation."""

    flow: str
    due: int
    started: int | None
    ended: int | None
    state: str


def statistics_of(times: list[float]) -> Statistics:
    times = sorted(times)
    middle, rare = -(-len(times) // 2) - 1, -(-len(times) * 95 // 100) - 1
    return Statistics(fmean(times), times[middle], times[rare], times[-1])


async def a_drawn_run(bench: Bench, dice: random.Random) -> Drawn:
    due = dice.randrange(-500, 500)
    started = due + dice.randrange(-50, 200) if dice.random() < 0.8 else None
    begun = started if started is not None else due
    ended = begun + dice.randrange(1, 300) if dice.random() < 0.7 else None
    run = Drawn(dice.choice("aaaab"), due, started, ended, "PENDING" if started is None else "RUNNING")
    moves: list[tuple[float, str]] = [(due - 100, "PENDING")]
    moves += [(started, "RUNNING")] if started is not None else []
    if ended is not None:
        run.state = dice.choice(["COMPLETED", "FAILED"])
        moves.append((ended, run.state))
    ident = await bench.run(*moves, due=due, flow=run.flow)
    if dice.random() < 0.1:
        await bench.delete(ident)
        run.flow = ""
    return run


@pytest.mark.parametrize(("seed", "number"), [(0, 1), (1, 20), (2, 80), (3, 80)])
async def test_a_window_says_what_its_runs_say_one_by_one(bench: Bench, seed: int, number: int) -> None:
    dice, since, now = random.Random(seed), 0, 400
    drawn = [await a_drawn_run(bench, dice) for _ in range(number)]
    runs = [run for run in drawn if run.flow]
    due = [run for run in runs if since <= run.due <= now]
    window = await bench.store.window(at(since), now=at(now))
    assert window.states == {
        (f"id-{flow}", state): count
        for flow, state in {(run.flow, run.state) for run in due}
        if (count := sum((run.flow, run.state) == (flow, state) for run in due))
    }
    took: dict[str, list[float]] = {}
    late: dict[str, list[float]] = {}
    for run in runs:
        if run.started is not None and run.ended is not None and run.ended >= since:
            took.setdefault(f"id-{run.flow}", []).append(run.ended - run.started)
    for run in due:
        if run.started is not None:
            late.setdefault(f"id-{run.flow}", []).append(max(0, run.started - run.due))
    assert window.run_times == {flow: _near(statistics_of(times)) for flow, times in took.items()}
    assert window.lateness == {flow: _near(statistics_of(times)) for flow, times in late.items()}


def _near(figures: Statistics) -> Statistics:
    avg: Any = pytest.approx(figures.avg)
    return Statistics(avg, figures.p50, figures.p95, figures.max)


async def test_a_window_of_a_flow_without_a_name_has_an_empty_id(bench: Bench) -> None:
    await bench.run((0, "RUNNING"), (2, "COMPLETED"), due=0, flow="")
    window = await bench.store.window(START, now=at(10))
    assert window.states == {("", "COMPLETED"): 1}
    assert window.run_times == {"": Statistics(2, 2, 2, 2)}


async def test_late_runs_are_counted_by_their_queue(bench: Bench) -> None:
    queue = [related("work-queue", "prefect.work-queue.q1", name="default")]
    for parties in (queue, queue, []):
        late = transition("SCHEDULED", "SCHEDULED", name="Late", run=uuid4(), occurred=START, related=parties)
        await bench.store.append("default", [decode(bare(late))], net=Net.LIVE)
    await bench.delete(await bench.run((0, "SCHEDULED"), name="Late"))
    await bench.run((0, "SCHEDULED"), (1, "CANCELLED"), name="Late")
    await bench.run((0, "SCHEDULED"))
    assert await bench.store.late_runs() == {"q1": 2, "": 1}


def failures(found: Iterable[Outcome]) -> dict[str, int]:
    """Return how many failed since one completed, by deployment."""
    numbers: dict[str, int] = {}
    for each in found:
        numbers[each.group[2]] = numbers.get(each.group[2], 0) + each.failures
    return numbers


async def test_the_last_end_in_each_state_is_told(bench: Bench) -> None:
    for second, state in ((5, "FAILED"), (9, "FAILED"), (7, "COMPLETED")):
        await bench.run((0, "RUNNING"), (second, state), deployment="d1")
    await bench.run((0, "RUNNING"), (4, "CANCELLED"), deployment="d2")
    await bench.delete(await bench.run((0, "RUNNING"), (15, "FAILED"), deployment="d1"))
    await bench.run((0, "RUNNING"), deployment="d1")
    found = await bench.store.outcomes(START)
    assert {(each.group, each.state, each.last) for each in found} == {
        (("default", "id-etl", "d1", ""), "FAILED", at(9)),
        (("default", "id-etl", "d1", ""), "COMPLETED", at(7)),
        (("default", "id-etl", "d2", ""), "CANCELLED", at(4)),
    }
    assert {each.state for each in await bench.store.outcomes(at(8))} == {"FAILED"}


async def test_failures_and_crashes_count_until_one_completes(bench: Bench) -> None:
    for second, state in ((1, "FAILED"), (2, "CRASHED"), (3, "CANCELLED")):
        await bench.run((0, "RUNNING"), (second, state), deployment="d1")
        await bench.run((0, "RUNNING"), (second, state), deployment="d2")
    assert failures(await bench.store.outcomes(START)) == {"d1": 2, "d2": 2}
    await bench.run((0, "RUNNING"), (4, "COMPLETED"), deployment="d1")
    assert failures(await bench.store.outcomes(START)) == {"d1": 0, "d2": 2}
    await bench.run((0, "RUNNING"), (5, "FAILED"), deployment="d1")
    assert failures(await bench.store.outcomes(START)) == {"d1": 1, "d2": 2}


@pytest.mark.parametrize("flips_to", ["RUNNING", "CANCELLED", "COMPLETED"])
async def test_a_failed_run_that_goes_on_or_flips_has_not_failed(bench: Bench, flips_to: str) -> None:
    await bench.run((0, "RUNNING"), (1, "FAILED"), deployment="d1")
    await bench.run((0, "RUNNING"), (5, "FAILED"), (6, flips_to), deployment="d1")
    found = await bench.store.outcomes(START)
    assert {each.state: each.last for each in found}["FAILED"] == at(1)
    assert failures(found) == {"d1": 0 if flips_to == "COMPLETED" else 1}


async def test_ended_runs_are_newest_first_and_only_so_many_of_each_deployment(bench: Bench) -> None:
    runs = {
        (deployment, second): await bench.run((0, "RUNNING"), (second, state), deployment=deployment)
        for deployment in ("d1", "d2")
        for second, state in ((10, "CRASHED"), (20, "FAILED"), (30, "FAILED"), (40, "COMPLETED"))
    }
    found = await bench.store.ended_runs(at(10), failed=True, each=2)
    assert {each.id for each in found} == {
        runs[deployment, second] for deployment in ("d1", "d2") for second in (20, 30)
    }
    assert [each.ended_at for each in found] == [at(30), at(30), at(20), at(20)]
    assert len(await bench.store.ended_runs(at(10), failed=True)) == 6
    assert len(await bench.store.ended_runs(at(11))) == 6
    assert len(await bench.store.ended_runs(START, each=1)) == 2


async def test_deleted_runs_are_not_among_the_ended(bench: Bench) -> None:
    await bench.delete(await bench.run((0, "RUNNING"), (10, "FAILED")))
    assert await bench.store.ended_runs(START) == []


async def test_unfinished_runs_are_those_that_neither_ended_nor_were_deleted(bench: Bench) -> None:
    present = {await bench.run((0, state)) for state in ("SCHEDULED", "PENDING", "RUNNING", "PAUSED")}
    await bench.run((0, "RUNNING"), (1, "CANCELLED"))
    await bench.delete(await bench.run((0, "RUNNING")))
    assert {each.id for each in await bench.store.unfinished_runs()} == present
