"""The metrics of prometheus-prefect-exporter: these names, these labels, and what they say."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.samples import Sample

from schemas import StateType
from streamer.inventory import Deployment, Inventory, WorkPool, WorkQueue
from streamer.metrics.compat import Compat
from streamer.model import RunState, Totals
from tests.gauges import AllMetrics

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
NAMES = {"f1": "etl", "d1": "nightly", "q1": "default"}
QUEUE = (
    "is_paused work_queue_name priority type work_pool_name status healthy"
    " health_check_policy_maximum_late_runs health_check_policy_maximum_seconds_since_last_polled"
)
LABELS = {
    "prefect_deployments_total": "",
    "prefect_info_deployment": "flow_name is_schedule_active deployment_name path paused work_pool_name"
    " work_queue_name status tags",
    "prefect_flows_total": "",
    "prefect_info_flows": "flow_name",
    "prefect_flow_runs_total": "",
    "prefect_flow_runs_total_run_time": "flow_name",
    "prefect_flow_runs_ongoing_run_time": "deployment_name flow_name state_name flow_run_id",
    "prefect_info_flow_runs": "deployment_name flow_name state_name work_queue_name",
    "prefect_deployment_failed_flow_runs": "deployment_name flow_name last_failed_run_id state_name",
    "prefect_work_pools_total": "",
    "prefect_info_work_pools": "is_paused work_pool_name type status",
    "prefect_work_queues_total": "",
    "prefect_info_work_queues": QUEUE,
    "prefect_work_queues_late_runs_count": QUEUE,
}
INVENTORY = Inventory(
    at=NOON,
    flows=["etl", "other"],
    deployments=[Deployment("nightly", "etl", "pool", "default", "READY", True, False, "/flows", ("a", "b"))],
    work_pools=[WorkPool("pool", "process", "READY", False), WorkPool("idle", "docker", "", True)],
    work_queues=[WorkQueue("q1", "default", "pool", "READY", False, 3, NOON)],
)


def a_run(number: int, state: str, *, started: float | None = None, ended: float | None = None) -> RunState:
    """Return a run that started and ended so many seconds ago."""
    return RunState(
        UUID(int=number),
        "default",
        flow="f1",
        deployment="d1",
        work_queue="q1",
        state_type=StateType(state),
        state_name=state.capitalize(),
        started_at=None if started is None else NOON - timedelta(seconds=started),
        ended_at=None if ended is None else NOON - timedelta(seconds=ended),
    )


class Store:
    """A store of these runs."""

    def __init__(self, *runs: RunState) -> None:
        self._runs = runs

    async def unfinished_runs(self) -> Sequence[RunState]:
        return [run for run in self._runs if run.ended_at is None]

    async def ended_runs(self, since: datetime, *, failed: bool = False, each: int | None = None) -> Sequence[RunState]:
        assert failed == (each is not None)
        found = [run for run in self._runs if run.ended_at and run.ended_at >= since]
        return [run for run in found if run.state_type is StateType.FAILED or not failed]


class World:
    """All metrics of a service, and the exporter's beside them."""

    def __init__(self) -> None:
        self.metrics = AllMetrics(self, Totals(names=NAMES))
        names, registry = self.metrics.counters.names, self.metrics.instruments.registry
        self.compat = Compat(self.metrics.inventory, names, registry, self)
        self.metrics.inventory.take("default", INVENTORY)

    def now(self) -> datetime:
        return NOON

    def monotonic(self) -> float:
        return 0.0

    async def refresh(self, *runs: RunState) -> None:
        await self.compat.refresh(Store(*runs), NOON)

    def samples(self, name: str) -> list[Sample]:
        families = self.metrics.counters.exposed.collect()
        return [each for family in families for each in family.samples if each.name == name]

    def values(self, name: str, *labels: str) -> dict[tuple[str, ...], float]:
        return {tuple(each.labels[label] for label in labels): each.value for each in self.samples(name)}


@pytest.fixture
async def world() -> World:
    world = World()
    await world.refresh(
        a_run(1, "RUNNING", started=90),
        a_run(2, "PENDING"),
        a_run(3, "FAILED", started=70, ended=60),
        a_run(4, "COMPLETED", started=45, ended=30),
        a_run(5, "FAILED", started=9000, ended=8000),
    )
    return world


@pytest.mark.parametrize("name", LABELS)
def test_each_metric_has_its_labels(world: World, name: str) -> None:
    found = world.samples(name)
    assert found
    assert {frozenset(each.labels) for each in found} == {frozenset(LABELS[name].split())}


def test_there_are_no_others(world: World) -> None:
    assert {family.name for family in world.compat.collect()} == LABELS.keys()


@pytest.mark.parametrize("accept", ["text/plain", "application/openmetrics-text; version=1.0.0"])
def test_both_formats_parse_beside_our_own_metrics(world: World, accept: str) -> None:
    encode, _ = choose_encoder(accept)
    body = encode(world.metrics.counters.exposed).decode()
    parse = parse_openmetrics if "openmetrics" in accept else parse_text
    found = {each.name for family in parse(body) for each in family.samples}
    assert found >= LABELS.keys()


def test_numbers_are_of_all_there_is(world: World) -> None:
    found = {name: world.values(name)[()] for name, labels in LABELS.items() if not labels}
    assert found == {
        "prefect_deployments_total": 1,
        "prefect_flows_total": 2,
        "prefect_flow_runs_total": 2,
        "prefect_work_pools_total": 2,
        "prefect_work_queues_total": 1,
    }


def test_a_deployment_is_told_as_the_exporter_does(world: World) -> None:
    (deployment,) = world.samples("prefect_info_deployment")
    assert (deployment.value, deployment.labels) == (
        1,
        {
            "flow_name": "etl",
            "is_schedule_active": "False",
            "deployment_name": "nightly",
            "path": "/flows",
            "paused": "True",
            "work_pool_name": "pool",
            "work_queue_name": "default",
            "status": "READY",
            "tags": "a,b",
        },
    )


def test_what_is_not_told_is_null(world: World) -> None:
    world.metrics.inventory.take(
        "default", replace(INVENTORY, deployments=[Deployment("d", "", "", "", "", False, True, "", ())])
    )
    (deployment,) = world.samples("prefect_info_deployment")
    nulls = {label for label, value in deployment.labels.items() if value == "null"}
    assert nulls == {"flow_name", "path", "work_pool_name", "work_queue_name", "status", "tags"}


def test_run_time_is_the_sum_over_the_runs_that_ended_lately(world: World) -> None:
    assert world.values("prefect_flow_runs_total_run_time", "flow_name") == {("etl",): 25}


def test_what_runs_tells_since_when_by_its_id(world: World) -> None:
    labels = LABELS["prefect_flow_runs_ongoing_run_time"].split()
    found = world.values("prefect_flow_runs_ongoing_run_time", *labels)
    assert found == {("nightly", "etl", "Running", str(UUID(int=1))): 90}


def test_runs_are_counted_by_state(world: World) -> None:
    found = world.values("prefect_info_flow_runs", *LABELS["prefect_info_flow_runs"].split())
    states = ("Running", "Pending", "Failed", "Completed")
    assert found == {("nightly", "etl", state, "default"): 1 for state in states}


def test_failures_of_the_last_days_are_told_by_id(world: World) -> None:
    found = world.values("prefect_deployment_failed_flow_runs", "deployment_name", "last_failed_run_id", "state_name")
    assert found == {("nightly", str(UUID(int=number)), "Failed"): 1 for number in (3, 5)}


def test_what_is_paused_is_0(world: World) -> None:
    labels = ("work_pool_name", "is_paused", "status")
    assert world.values("prefect_info_work_pools", *labels) == {
        ("pool", "False", "READY"): 1,
        ("idle", "True", "null"): 0,
    }
    assert world.values("prefect_info_work_queues", "work_queue_name", "is_paused") == {("default", "False"): 1}


def test_a_queue_has_its_pools_type_and_its_late_runs(world: World) -> None:
    world.metrics.inventory.late = {"q1": 7}
    (queue,) = world.samples("prefect_work_queues_late_runs_count")
    assert (queue.value, queue.labels) == (
        7,
        {
            "is_paused": "False",
            "work_queue_name": "default",
            "priority": "3",
            "type": "process",
            "work_pool_name": "pool",
            "status": "READY",
            "healthy": "True",
            **dict.fromkeys(QUEUE.split()[-2:], "null"),
        },
    )
