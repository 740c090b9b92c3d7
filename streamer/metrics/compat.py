"""The 14 metrics of prometheus-prefect-exporter, under its names and with its labels, for dashboards that have them.

What differs: run ids and run names are in no label; a flow's run time is one series, the sum over its runs that ended
within the window; what a server does not tell in a list is the string `null`, as there.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric

from schemas import StateType
from streamer.inventory import WorkQueue
from streamer.metrics.families import gauge
from streamer.metrics.inventory import InventoryGauges
from streamer.model import Clock, RunState

NULL = "null"
OFFSET = timedelta(minutes=3)
"""The time that the exporter looks back by default."""

FAILED_OFFSET = timedelta(days=7)
FAILED_LIMIT = 10

RUN = ("deployment_name", "flow_name", "state_name")
QUEUE = (
    "is_paused",
    "work_queue_name",
    "priority",
    "type",
    "work_pool_name",
    "status",
    "healthy",
    "health_check_policy_maximum_late_runs",
    "health_check_policy_maximum_seconds_since_last_polled",
)


class Store(Protocol):
    """The questions to a store."""

    async def unfinished_runs(self) -> Sequence[RunState]:
        """Return the runs that have not ended."""
        ...

    async def ended_runs(self, since: datetime, *, failed: bool = False, each: int | None = None) -> Sequence[RunState]:
        """Return the runs that ended after a time, newest first; only the failed, only so many of each deployment."""
        ...


class Compat:
    """A collector of the exporter's metrics; of runs it shows what was true when it was last refreshed."""

    def __init__(
        self, inventory: InventoryGauges, names: Mapping[str, str], registry: CollectorRegistry, clock: Clock
    ) -> None:
        self._inventory = inventory
        self._names = names
        self._clock = clock
        self._present: Sequence[RunState] = ()
        self._ended: Sequence[RunState] = ()
        self._failed: Sequence[RunState] = ()
        registry.register(self)

    async def refresh(self, store: Store, now: datetime) -> None:
        """Ask anew what runs do."""
        self._present = await store.unfinished_runs()
        self._ended = await store.ended_runs(now - OFFSET)
        self._failed = await store.ended_runs(now - FAILED_OFFSET, failed=True, each=FAILED_LIMIT)

    def collect(self) -> Iterator[Metric]:
        """Yield all 14, as far as there is something to tell."""
        yield from self._of_deployments()
        yield from self._of_flows()
        yield from self._of_runs()
        yield from self._of_work()

    def _of_deployments(self) -> Iterator[Metric]:
        found = self._inventory.inventory.deployments
        yield self._number("prefect_deployments_total", "Deployments.", len(found))
        info = GaugeMetricFamily(
            "prefect_info_deployment",
            "A deployment; always 1.",
            labels=(
                *("flow_name", "is_schedule_active", "deployment_name", "path", "paused"),
                *("work_pool_name", "work_queue_name", "status", "tags"),
            ),
        )
        for each in found:
            told = (each.flow, str(each.is_scheduled), each.name, each.path, str(each.paused))
            where = (each.work_pool, each.work_queue, each.status, ",".join(each.tags))
            info.add_metric(_or_null(*told, *where), 1)
        yield info

    def _of_flows(self) -> Iterator[Metric]:
        flows = self._inventory.inventory.flows
        yield self._number("prefect_flows_total", "Flows.", len(flows))
        info = GaugeMetricFamily("prefect_info_flows", "A flow; always 1.", labels=("flow_name",))
        for name in flows:
            info.add_metric((name,), 1)
        yield info

    def _of_runs(self) -> Iterator[Metric]:
        ended = GaugeMetricFamily("prefect_flow_runs_total", "Runs that ended within three minutes.")
        ended.add_metric((), len(self._ended))
        yield ended
        took: dict[tuple[str, ...], float] = defaultdict(float)
        for run in self._ended:
            if run.started_at and run.ended_at:
                took[_or_null(self._name(run.flow))] += (run.ended_at - run.started_at).total_seconds()
        text = "How long a flow's runs took that ended within three minutes, in sum."
        yield gauge("prefect_flow_runs_total_run_time", text, ("flow_name",), took)
        now = self._clock.now()
        ongoing = {
            (*self._run(run), str(run.id)): (now - run.started_at).total_seconds()
            for run in self._present
            if run.started_at and run.state_type is StateType.RUNNING
        }
        text = "How long a run has been running."
        yield gauge("prefect_flow_runs_ongoing_run_time", text, (*RUN, "flow_run_id"), ongoing)
        numbers = Counter((*self._run(run), *_or_null(self._name(run.work_queue))) for run in self._lately())
        yield gauge("prefect_info_flow_runs", "Runs by state.", (*RUN, "work_queue_name"), numbers)
        failed = {
            (*_or_null(self._name(run.deployment), self._name(run.flow)), str(run.id), run.state_name or NULL): 1
            for run in self._failed
        }
        labels = ("deployment_name", "flow_name", "last_failed_run_id", "state_name")
        yield gauge("prefect_deployment_failed_flow_runs", "A deployment's last failures; always 1.", labels, failed)

    def _lately(self) -> Iterator[RunState]:
        yield from self._present
        yield from self._ended

    def _of_work(self) -> Iterator[Metric]:
        has = self._inventory.inventory
        yield self._number("prefect_work_pools_total", "Work pools.", len(has.work_pools))
        pools = {
            _or_null(str(each.paused), each.name, each.type, each.status): int(not each.paused)
            for each in has.work_pools
        }
        labels = ("is_paused", "work_pool_name", "type", "status")
        yield gauge("prefect_info_work_pools", "A work pool; 0 while it is paused.", labels, pools)
        yield self._number("prefect_work_queues_total", "Work queues.", len(has.work_queues))
        types = {pool.name: pool.type for pool in has.work_pools}
        places = {queue.id: _queue(queue, types) for queue in has.work_queues}
        info = {places[queue.id]: int(not queue.paused) for queue in has.work_queues}
        yield gauge("prefect_info_work_queues", "A work queue; 0 while it is paused.", QUEUE, info)
        late = {place: self._inventory.late.get(ident, 0) for ident, place in places.items()}
        yield gauge("prefect_work_queues_late_runs_count", "Runs in state Late.", QUEUE, late)

    def _number(self, name: str, text: str, number: int) -> Metric:
        """Return how many there are, once anybody has looked."""
        metric = GaugeMetricFamily(name, text)
        if self._inventory.inventory.at:
            metric.add_metric((), number)
        return metric

    def _run(self, run: RunState) -> tuple[str, ...]:
        return _or_null(self._name(run.deployment), self._name(run.flow), run.state_name or "")

    def _name(self, ident: str | None) -> str:
        return self._names.get(ident or "", "")


def _queue(queue: WorkQueue, types: Mapping[str, str]) -> tuple[str, ...]:
    """Return what the exporter says of a queue; health, which is asked queue by queue, is told by the status."""
    told = (str(queue.paused), queue.name, str(queue.priority), types.get(queue.work_pool, ""), queue.work_pool)
    return _or_null(*told, queue.status, str(queue.status == "READY"), "", "")


def _or_null(*values: str) -> tuple[str, ...]:
    return tuple(value or NULL for value in values)
