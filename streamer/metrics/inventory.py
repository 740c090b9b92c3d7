"""Family E of the catalogue: what a server has besides runs, as gauges."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric

from streamer.inventory import Deployment, Inventory, WorkQueue
from streamer.metrics.families import gauge

Values = tuple[str, ...]

OF_DEPLOYMENTS = ("flow", "deployment", "work_pool", "work_queue")
OF_QUEUES = ("work_pool", "work_queue")


class InventoryGauges:
    """A collector over what was read last; before anything was, it shows nothing."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.inventory = Inventory()
        """What was read last of all sources."""
        self._read: dict[str, Inventory] = {}
        self.late: Mapping[str, int] = {}
        """How many runs are late, by the id of the work queue."""
        registry.register(self)

    def take(self, source: str, inventory: Inventory) -> None:
        """Show this of a source from now on."""
        self._read[source] = inventory
        self.inventory = Inventory.together(self._read.values())

    def collect(self) -> Iterator[Metric]:
        """Yield numbers, and a series for each deployment, work pool and work queue."""
        last = GaugeMetricFamily(
            "prefect_streamer_inventory_last_success_timestamp_seconds",
            "When deployments, work pools and queues were last read; 0: not yet.",
        )
        last.add_metric((), self.inventory.at.timestamp() if self.inventory.at else 0)
        yield last
        yield from self._numbers()
        yield from _of_deployments(self.inventory.deployments)
        yield from self._of_work_pools()
        yield from self._of_work_queues()

    def _numbers(self) -> Iterator[Metric]:
        has = self.inventory
        for name, found in (
            ("flows", has.flows),
            ("deployments", has.deployments),
            ("work_pools", has.work_pools),
            ("work_queues", has.work_queues),
        ):
            metric = GaugeMetricFamily(f"prefect_{name}", f"How many {name.replace('_', ' ')} the server has.")
            if has.at:
                metric.add_metric((), len(found))
            yield metric

    def _of_work_pools(self) -> Iterator[Metric]:
        pools = self.inventory.work_pools
        types: dict[Values, float] = {(pool.name, pool.type): 1 for pool in pools}
        yield gauge("prefect_work_pool_info", "A work pool's type; always 1.", ("work_pool", "type"), types)
        ready: dict[Values, float] = {(pool.name,): int(pool.is_ready) for pool in pools if pool.is_ready is not None}
        yield gauge("prefect_work_pool_ready", "1 while a worker polls the pool.", ("work_pool",), ready)

    def _of_work_queues(self) -> Iterator[Metric]:
        queues = self.inventory.work_queues
        late: dict[Values, float] = defaultdict(float)
        for queue in queues:
            late[_place(queue)] += self.late.get(queue.id, 0)
        yield gauge("prefect_work_queue_late_runs", "Runs in state Late, by the queue they wait in.", OF_QUEUES, late)
        polled = {_place(queue): queue.last_polled.timestamp() for queue in queues if queue.last_polled}
        yield gauge(
            "prefect_work_queue_last_polled_timestamp_seconds", "When the queue was last polled.", OF_QUEUES, polled
        )


def _of_deployments(deployments: Iterable[Deployment]) -> Iterator[Metric]:
    info: dict[Values, float] = {}
    paused: dict[Values, float] = defaultdict(float)
    for each in deployments:
        place = (each.flow, each.name, each.work_pool, each.work_queue)
        info[*place, each.status] = 1
        paused[place] = max(paused[place], each.paused)
    text = "A deployment's work pool, queue and status; always 1."
    yield gauge("prefect_deployment_info", text, (*OF_DEPLOYMENTS, "status"), info)
    yield gauge("prefect_deployment_paused", "1 while a deployment is paused.", OF_DEPLOYMENTS, paused)


def _place(queue: WorkQueue) -> Values:
    return (queue.work_pool, queue.name)
