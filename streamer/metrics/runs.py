"""Families B and C of the catalogue: gauges of the runs that trackers follow, made when somebody asks."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric

from schemas import StateType
from streamer.lifesigns import LifeSigns
from streamer.liveness import Status, Tracker
from streamer.metrics.labels import Labels
from streamer.model import Clock
from streamer.suspicion import SECOND

Values = tuple[str, ...]
Run = tuple[Values, LifeSigns, Status]


class Fading:
    """Series that were there a while ago: shown at 0 until they are forgotten, since nobody notices what is absent."""

    def __init__(self, clock: Clock, ttl: timedelta) -> None:
        self._clock = clock
        self._ttl = ttl
        self._seen: dict[Values, datetime] = {}

    def with_zeros(self, counts: Mapping[Values, int]) -> dict[Values, int]:
        """Return the counts with a 0 for each series that was above 0 within the time."""
        now = self._clock.now()
        self._seen.update(dict.fromkeys(counts, now))
        self._seen = {labels: seen for labels, seen in self._seen.items() if now - seen <= self._ttl}
        return {**dict.fromkeys(self._seen, 0), **counts}


class RunGauges:
    """A collector over the trackers of all sources."""

    def __init__(
        self,
        trackers: Mapping[str, Tracker],
        labels: Labels,
        registry: CollectorRegistry,
        clock: Clock,
        *,
        ttl: timedelta,
    ) -> None:
        self._trackers = trackers
        self._labels = labels
        self._held, self._present = Fading(clock, ttl), Fading(clock, ttl)
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """Yield how many runs there are and since when, what is held of them, and their oldest last heartbeat."""
        runs = list(self._runs())
        yield from self._states(runs)
        yield self._liveness(runs)
        yield self._oldest(runs)
        tracked = GaugeMetricFamily("prefect_streamer_tracked_runs", "Runs that have not ended.", labels=("source",))
        for source, tracker in list(self._trackers.items()):
            tracked.add_metric((source,), len(tracker))
        yield tracked

    def _runs(self) -> Iterator[Run]:
        told: dict[Values, Values] = {}
        for source, tracker in list(self._trackers.items()):
            for _, signs, status in tracker.statuses():
                ids = (source, signs.move.flow, signs.move.deployment, signs.move.work_pool)
                if ids not in told:
                    told[ids] = self._labels.values_of_run(*ids)
                yield told[ids], signs, status

    def _states(self, runs: Sequence[Run]) -> Iterator[Metric]:
        labels = (*self._labels.of_gauges, "state")
        present = GaugeMetricFamily("prefect_flow_runs", "Runs that have not ended, by state type.", labels=labels)
        entered = GaugeMetricFamily(
            "prefect_flow_run_oldest_state_timestamp_seconds",
            "When the run that is longest in a state came into it; time() less this is its age.",
            labels=labels,
        )
        groups: dict[Values, list[int]] = defaultdict(list)
        for parties, signs, _ in runs:
            groups[(*parties, signs.move.type.value)].append(signs.since)
        for group, number in self._present.with_zeros({group: len(since) for group, since in groups.items()}).items():
            present.add_metric(group, number)
        for group, since in groups.items():
            entered.add_metric(group, min(since) / SECOND)
        yield present
        yield entered

    def _liveness(self, runs: Iterable[Run]) -> Metric:
        metric = GaugeMetricFamily(
            "prefect_flow_run_liveness",
            "Runs that have not ended, by what is held of them.",
            labels=(*self._labels.of_gauges, "status"),
        )
        counts = Counter((*parties, status.value) for parties, _, status in runs)
        for labels, number in self._held.with_zeros(counts).items():
            metric.add_metric(labels, number)
        return metric

    def _oldest(self, runs: Iterable[Run]) -> Metric:
        metric = GaugeMetricFamily(
            "prefect_flow_run_oldest_heartbeat_timestamp_seconds",
            "The last heartbeat of the running run that was silent longest, of those that send some.",
            labels=self._labels.of_gauges,
        )
        oldest: dict[Values, int] = {}
        for parties, signs, _ in runs:
            if signs.beats and signs.move.type is StateType.RUNNING:
                oldest[parties] = min(signs.life, oldest.get(parties, signs.life))
        for parties, life in oldest.items():
            metric.add_metric(parties, life / SECOND)
        return metric
