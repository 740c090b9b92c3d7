"""Family D of the catalogue: what runs have done over the last hour, day and week, asked of the store now and then."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric

from streamer.reports import Statistics, Window


class Reports(Protocol):
    """The questions to a store."""

    async def window(self, since: datetime, *, now: datetime) -> Window:
        """Return what runs have done since a time, in sum."""
        ...


class WindowGauges:
    """A collector over the newest answers, by the windows' names."""

    def __init__(self, windows: Mapping[str, timedelta], names: Mapping[str, str], registry: CollectorRegistry) -> None:
        self._windows = windows
        self._names = names
        self._found: dict[str, Window] = {}
        registry.register(self)

    async def refresh(self, store: Reports, now: datetime) -> None:
        """Ask for all windows."""
        self._found = {name: await store.window(now - length, now=now) for name, length in self._windows.items()}

    def collect(self) -> Iterator[Metric]:
        """Yield runs by state, and how long they ran and how late they were."""
        runs = GaugeMetricFamily(
            "prefect_flow_run_history_runs",
            "Runs that were due within the window, by their present state.",
            labels=("window", "flow", "state"),
        )
        for name, window in self._found.items():
            for (flow, state), number in self._by_name(window.states).items():
                runs.add_metric((name, flow, state), number)
        yield runs
        yield self._statistics(
            "prefect_flow_run_history_run_time_seconds",
            "From first RUNNING to the end, of runs that ended within the window.",
            {name: window.run_times for name, window in self._found.items()},
        )
        yield self._statistics(
            "prefect_flow_run_history_lateness_seconds",
            "From when they were due to first RUNNING, of runs that were due within the window and have begun.",
            {name: window.lateness for name, window in self._found.items()},
        )

    def _by_name(self, states: Mapping[tuple[str, str], int]) -> dict[tuple[str, str], int]:
        """Return the numbers by the flow's name; flows of one name are summed."""
        summed: dict[tuple[str, str], int] = {}
        for (flow, state), number in states.items():
            key = (self._names.get(flow, ""), state)
            summed[key] = summed.get(key, 0) + number
        return summed

    def _statistics(self, metric_name: str, text: str, found: Mapping[str, Mapping[str, Statistics]]) -> Metric:
        metric = GaugeMetricFamily(metric_name, text, labels=("window", "flow", "stat"))
        for window, by_flow in found.items():
            for flow, figures in {self._names.get(flow, ""): figures for flow, figures in by_flow.items()}.items():
                for stat in ("avg", "p50", "p95", "max"):
                    metric.add_metric((window, flow, stat), getattr(figures, stat))
        return metric
