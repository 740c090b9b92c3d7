"""A small registry with one of each type, and snapshots of it at chosen times."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, Metric

from streamer.push.points import Snapshot, snapshot

PROCESS_START = 1_000_000.0
STORE_START = 900_000.0
TRANSITIONS = "prefect_flow_run_transitions_total"
WRITES = "prefect_streamer_sink_attempts_total"


@dataclass(eq=False)
class Stored:
    """A collector of totals by flow, such as those of the store."""

    totals: dict[str, float] = field(default_factory=dict)

    def collect(self) -> Iterator[Metric]:
        metric = CounterMetricFamily("prefect_flow_run_transitions", "Transitions.", labels=("flow", "work_pool"))
        for flow, total in self.totals.items():
            metric.add_metric((flow, ""), total)
        yield metric


class Registry:
    """A registry with a counter of the store and one of the process, a gauge and a histogram."""

    def __init__(self, **totals: float) -> None:
        self.all = CollectorRegistry()
        self.stored = Stored(dict(totals))
        self.all.register(self.stored)
        self.writes = Counter("prefect_streamer_sink_attempts", "Writes.", ("sink",), registry=self.all)
        self.lag = Gauge("prefect_streamer_sink_lag_records", "Lag.", ("sink",), registry=self.all)
        self.took = Histogram(
            "prefect_streamer_sink_write_duration_seconds", "Time.", ("sink",), buckets=(0.1, 1), registry=self.all
        )

    def at(self, seconds: float) -> Snapshot:
        """Return what is there so many seconds after the process's start."""
        return snapshot(self.all.collect(), PROCESS_START + seconds, begun)


def begun(name: str) -> float:
    return STORE_START if name == TRANSITIONS else PROCESS_START
