"""What a scrape shows of the runs that have not ended."""

from datetime import timedelta
from uuid import UUID, uuid4

from prometheus_client import CollectorRegistry

from schemas import StateType
from streamer.liveness import Tracker
from streamer.metrics.labels import Labels
from streamer.metrics.runs import RunGauges
from streamer.suspicion import SECOND, Move, Reason, Standing
from streamer.timestamps import to_micros
from tests.clock import NOON, Clock

AT = to_micros(NOON)
NAMES = {"f1": "etl", "d1": "nightly", "d2": "nightly"}


class World:
    def __init__(self) -> None:
        self.tracker = Tracker()
        self.registry = CollectorRegistry()
        self.clock = Clock()
        labels = Labels(NAMES)
        RunGauges({"default": self.tracker}, labels, self.registry, self.clock, ttl=timedelta(days=7))

    def run(self, state: str = "RUNNING", *, at: int = 0, deployment: str = "d1") -> UUID:
        ident = uuid4()
        move = Move(AT + at * SECOND, StateType(state), state.capitalize(), 1, "f1", deployment)
        self.tracker.moved(ident, move)
        return ident

    def value(self, name: str, **labels: str) -> float | None:
        parties = {"flow": "etl", "deployment": "nightly", "work_pool": ""}
        return self.registry.get_sample_value(name, {**parties, **labels})


def test_runs_are_counted_by_state_and_deployments_of_one_name_together() -> None:
    world = World()
    for deployment in ("d1", "d2"):
        world.run(deployment=deployment)
    ended = world.run()
    world.tracker.moved(ended, Move(AT + SECOND, StateType.COMPLETED, "Completed", 1, "f1", "d1"))
    world.run("PENDING")
    assert world.value("prefect_flow_runs", state="RUNNING") == 2
    assert world.value("prefect_flow_runs", state="PENDING") == 1
    assert world.value("prefect_flow_runs", state="COMPLETED") is None
    assert world.registry.get_sample_value("prefect_streamer_tracked_runs", {"source": "default"}) == 3


def test_the_oldest_in_a_state_tells_since_when() -> None:
    world = World()
    for at in (30, 10, 20):
        world.run("PENDING", at=at)
    oldest = world.value("prefect_flow_run_oldest_state_timestamp_seconds", state="PENDING")
    assert oldest == NOON.timestamp() + 10


def test_runs_are_counted_by_what_is_held_of_them() -> None:
    world = World()
    beating, dead, _ = world.run(), world.run(), world.run()
    for run in (beating, dead):
        world.tracker.beat(run, AT + SECOND, AT + SECOND, AT + SECOND)
    world.tracker.stand(dead, Standing(Reason.HEARTBEAT_MISSING))
    found = {
        status: world.value("prefect_flow_run_liveness", status=status) for status in ("alive", "zombie", "unmonitored")
    }
    assert found == {"alive": 1, "zombie": 1, "unmonitored": 1}


def test_the_oldest_heartbeat_is_of_the_run_that_was_silent_longest() -> None:
    world = World()
    for seconds in (5, 3, 9):
        moment = AT + seconds * SECOND
        world.tracker.beat(world.run(), moment, moment, moment)
    assert world.value("prefect_flow_run_oldest_heartbeat_timestamp_seconds") == NOON.timestamp() + 3
