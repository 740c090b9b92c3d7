"""When the last run ended, and how many have failed since one completed, in whatever order it was heard."""

import random
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from prometheus_client import CollectorRegistry

from schemas import StateType
from streamer.metrics.labels import Labels
from streamer.metrics.outcomes import Outcomes
from streamer.model import Appended, End, Net, RunState

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
NAMES = {"f1": "etl", "d1": "nightly", "d2": "nightly", "d3": "hourly"}
A, B, C = (UUID(int=number) for number in (1, 2, 3))
FINISHED = "prefect_flow_run_last_finished_timestamp_seconds"
FAILURES = "prefect_flow_run_consecutive_failures"

Series = dict[tuple[str, ...], float]


class World:
    """Outcomes, a clock, and a registry to ask."""

    def __init__(self, ends: Iterable[End] = (), labels: Sequence[str] = ("deployment",)) -> None:
        self.time = NOON
        self._registry = CollectorRegistry()
        self.outcomes = Outcomes(ends, Labels(NAMES, labels), self._registry, self, ttl=timedelta(days=7))

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return 0.0

    def become(self, *runs: RunState) -> None:
        self.outcomes.committed("default", Net.LIVE, Appended(runs=runs))

    def series(self, name: str) -> Series:
        found = (each for family in self._registry.collect() for each in family.samples if each.name == name)
        return {tuple(each.labels.values()): each.value for each in found}

    @property
    def failures(self) -> float:
        return self.series(FAILURES)["nightly",]


def ended(run: UUID, second: float, state: str = "FAILED", deployment: str = "d1") -> RunState:
    at = NOON + timedelta(seconds=second)
    return RunState(run, "default", flow="f1", deployment=deployment, state_type=StateType(state), ended_at=at)


def again(run: UUID) -> RunState:
    """Return a run that has another attempt."""
    return RunState(run, "default", flow="f1", deployment="d1", state_type=StateType.RUNNING)


def test_the_last_end_in_each_state_is_shown() -> None:
    world = World()
    world.become(ended(A, 5), ended(B, 9), ended(C, 7, "COMPLETED"))
    world.become(ended(uuid4(), 2), ended(uuid4(), 4, "CANCELLED", deployment="d3"))
    at = NOON.timestamp()
    assert world.series(FINISHED) == {
        ("nightly", "FAILED"): at + 9,
        ("nightly", "COMPLETED"): at + 7,
        ("hourly", "CANCELLED"): at + 4,
    }


def test_failures_and_crashes_count_until_one_completes() -> None:
    world = World()
    world.become(ended(A, 1), ended(B, 2, "CRASHED"))
    assert world.failures == 2
    world.become(ended(C, 3, "COMPLETED"))
    assert world.failures == 0
    world.become(ended(uuid4(), 4))
    assert world.failures == 1


def test_a_cancelled_run_is_neither() -> None:
    world = World()
    world.become(ended(A, 1), ended(B, 2, "CANCELLED"))
    assert world.failures == 1


def test_a_run_told_twice_fails_once() -> None:
    world = World()
    world.become(ended(A, 1))
    world.become(ended(A, 1))
    assert world.failures == 1


def test_failures_of_before_the_last_completion_do_not_count_when_they_come_late() -> None:
    world = World()
    world.become(ended(A, 10, "COMPLETED"))
    world.become(ended(B, 9), ended(C, 11))
    assert world.failures == 1


def test_a_completion_that_comes_late_does_not_forgive_what_failed_after_it() -> None:
    world = World()
    world.become(ended(A, 5), ended(B, 12))
    world.become(ended(C, 10, "COMPLETED"))
    assert world.failures == 1


def test_a_failed_run_that_is_tried_again_has_not_failed() -> None:
    world = World()
    world.become(ended(A, 1), ended(B, 2))
    world.become(again(B))
    assert world.failures == 1
    world.become(ended(B, 9, "COMPLETED"))
    assert world.failures == 0


def test_a_run_whose_end_was_changed_counts_as_what_it_is_now() -> None:
    world = World()
    world.become(ended(A, 1), ended(B, 5))
    world.become(ended(B, 6, "CANCELLED"))
    assert world.failures == 1
    world.become(ended(B, 7))
    assert world.failures == 2
    world.become(ended(A, 8, "COMPLETED"))
    assert world.failures == 0


def test_deployments_of_one_name_are_summed_and_others_are_not() -> None:
    world = World()
    world.become(ended(A, 1), ended(B, 2, deployment="d2"), ended(C, 3, deployment="d3"))
    assert world.series(FAILURES) == {("nightly",): 2, ("hourly",): 1}


def test_a_deployment_that_completed_only_has_0_failures() -> None:
    world = World()
    world.become(ended(A, 1, "COMPLETED"))
    assert world.failures == 0


def test_labels_are_those_that_are_chosen() -> None:
    world = World(labels=("source", "flow", "state_name"))
    world.become(ended(A, 1))
    assert world.series(FAILURES) == {("default", "etl"): 1}


def test_a_deployment_without_an_end_for_long_is_not_shown_until_one_ends() -> None:
    world = World()
    world.become(ended(A, 0), ended(B, 86_400, "COMPLETED", deployment="d3"))
    world.time = NOON + timedelta(days=7)
    assert world.series(FAILURES).keys() == {("nightly",), ("hourly",)}
    world.time += timedelta(seconds=1)
    assert world.series(FAILURES).keys() == {("hourly",)}
    assert world.series(FINISHED).keys() == {("hourly", "COMPLETED")}
    world.become(ended(C, 7 * 86_400))
    assert world.failures == 2


@pytest.mark.parametrize("seed", range(20))
def test_what_the_store_tells_at_the_start_is_what_was_followed_live(seed: int) -> None:
    dice = random.Random(seed)
    states, deployments = ["FAILED", "CRASHED", "CANCELLED", "COMPLETED"], ["d1", "d2", "d3"]
    moments = dice.sample(range(1000), 30)
    runs = [ended(uuid4(), at, dice.choice(states), dice.choice(deployments)) for at in moments]
    live = World()
    for run in runs:
        if dice.random() < 0.5:
            live.become(again(run.id))
        live.become(run)
    ends = sorted((run.end for run in runs if run.end), key=lambda end: end.at)
    seeded = World(ends)
    for name in (FAILURES, FINISHED):
        assert live.series(name) == seeded.series(name)
