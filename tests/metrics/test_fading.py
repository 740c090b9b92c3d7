"""A gauge that was there is 0 for a while, rather than absent at once."""

from datetime import timedelta
from uuid import UUID, uuid4

from prometheus_client import CollectorRegistry

from schemas import StateType
from streamer.liveness import Tracker
from streamer.metrics.labels import Labels
from streamer.metrics.runs import Fading, RunGauges
from streamer.suspicion import SECOND, Move
from streamer.timestamps import to_micros
from tests.clock import NOON, Clock

TTL = timedelta(hours=1)


class World:
    """A tracker, and what a scrape shows of it."""

    def __init__(self) -> None:
        self.tracker, self.clock, self._registry = Tracker(), Clock(), CollectorRegistry()
        RunGauges({"default": self.tracker}, Labels({"f1": "etl"}, ("flow",)), self._registry, self.clock, ttl=TTL)

    def move(self, run: UUID, second: int, state: StateType) -> None:
        self.tracker.moved(run, Move(to_micros(NOON) + second * SECOND, state, state.value.capitalize(), 1, "f1"))

    def runs(self, state: str) -> float | None:
        return self._registry.get_sample_value("prefect_flow_runs", {"flow": "etl", "state": state})

    def unmonitored(self) -> float | None:
        labels = {"flow": "etl", "status": "unmonitored"}
        return self._registry.get_sample_value("prefect_flow_run_liveness", labels)

    def oldest(self, state: str) -> float | None:
        name = "prefect_flow_run_oldest_state_timestamp_seconds"
        return self._registry.get_sample_value(name, {"flow": "etl", "state": state})


def test_runs_that_are_gone_are_0_until_the_time_is_up() -> None:
    world, run = World(), uuid4()
    world.move(run, 0, StateType.RUNNING)
    assert (world.runs("RUNNING"), world.unmonitored()) == (1, 1)
    world.move(run, 1, StateType.COMPLETED)
    world.clock.time += TTL
    assert (world.runs("RUNNING"), world.unmonitored()) == (0, 0)
    assert world.oldest("RUNNING") is None, "there is no oldest of none"
    world.clock.time += timedelta(seconds=1)
    assert (world.runs("RUNNING"), world.unmonitored()) == (None, None)


def test_a_state_that_was_never_there_is_not_shown() -> None:
    world = World()
    world.move(uuid4(), 0, StateType.RUNNING)
    assert (world.runs("RUNNING"), world.runs("PAUSED")) == (1, None)


def test_what_comes_back_is_counted_and_fades_anew() -> None:
    clock = Clock()
    fading = Fading(clock, TTL)
    assert fading.with_zeros({("a",): 3, ("b",): 1}) == {("a",): 3, ("b",): 1}
    clock.time += TTL
    assert fading.with_zeros({("b",): 2}) == {("a",): 0, ("b",): 2}
    clock.time += TTL
    assert fading.with_zeros({}) == {("b",): 0}
    clock.time += timedelta(seconds=1)
    assert fading.with_zeros({}) == {}
