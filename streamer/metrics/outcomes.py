"""Family B of the catalogue, as far as it is about runs that have ended: when the last did, and how many failed since
one completed.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from uuid import UUID

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric

from schemas import StateType
from streamer.metrics.labels import Labels
from streamer.model import Appended, Clock, End, Net

FAILURES = (StateType.FAILED, StateType.CRASHED)

Group = tuple[str, str, str, str]
"""Source, flow, deployment, work pool."""


class Outcomes:
    """An observer that follows how runs end, and a collector that shows it."""

    name = "outcomes"

    def __init__(
        self, ends: Iterable[End], labels: Labels, registry: CollectorRegistry, clock: Clock, *, ttl: timedelta
    ) -> None:
        self._labels = labels
        self._clock = clock
        self._ttl = ttl
        self._finished: dict[tuple[Group, StateType], datetime] = {}
        self._failed: dict[Group, dict[UUID, datetime]] = defaultdict(dict)
        for end in ends:
            self._take(end)
        registry.register(self)

    def committed(self, source: str, net: Net, appended: Appended) -> None:  # noqa: ARG002 - an observer is told all
        """Take note of what runs have become."""
        for run in appended.runs:
            if run.end:
                self._take(run.end)
            elif run.group in self._failed:
                self._failed[run.group].pop(run.id, None)

    def collect(self) -> Iterator[Metric]:
        """Yield when the last run ended in each state, and how many have failed since one completed."""
        labels = self._labels.of_gauges
        finished = GaugeMetricFamily(
            "prefect_flow_run_last_finished_timestamp_seconds",
            "When the last run ended, by how it ended.",
            labels=(*labels, "state"),
        )
        horizon = self._clock.now() - self._ttl
        current = {key: ended for key, ended in dict(self._finished).items() if ended >= horizon}
        newest: dict[tuple[str, ...], float] = defaultdict(float)
        for (group, state), ended in current.items():
            told = (*self._labels.values_of_run(*group), state.value)
            newest[told] = max(newest[told], ended.timestamp())
        for told, moment in newest.items():
            finished.add_metric(told, moment)
        yield finished
        yield self._failures({group for group, _ in current})

    def _failures(self, groups: Iterable[Group]) -> Metric:
        metric = GaugeMetricFamily(
            "prefect_flow_run_consecutive_failures",
            "Runs that failed or crashed since the last one completed.",
            labels=self._labels.of_gauges,
        )
        numbers: dict[tuple[str, ...], int] = defaultdict(int)
        for group in groups:
            numbers[self._labels.values_of_run(*group)] += len(self._failed.get(group, ()))
        for told, number in numbers.items():
            metric.add_metric(told, number)
        return metric

    def _take(self, end: End) -> None:
        group, state = end.group, end.state
        self._finished[group, state] = max(end.at, self._finished.get((group, state), end.at))
        completed = self._finished.get((group, StateType.COMPLETED))
        failed = self._failed[group]
        failed.pop(end.run, None)
        if state in FAILURES and (completed is None or end.at > completed):
            failed[end.run] = end.at
        elif state is StateType.COMPLETED:
            self._failed[group] = {run: at for run, at in failed.items() if at > end.at}
