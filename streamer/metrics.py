"""Families A, F and G of the catalogue as Prometheus sees them.

Counters are mirrors of the store's totals, set to absolute values after each commit, so that a restart changes none.
They are kept by ids and shown by names: a renamed deployment keeps one series, equal label sets are summed.
"""

import platform
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.samples import Exemplar

from schemas import Event, Transition
from streamer import __version__, counting
from streamer.instruments import Instruments
from streamer.model import Appended, Clock, Counter, Family, Net, Totals

SERIES_LIMIT = 10_000
OTHER = "other"

_PARTIES = ("flow", "deployment", "work_pool")
_SOURCE = ("source",)

_SHOWN: dict[Family, tuple[str, str, tuple[str, ...], tuple[str, ...]]] = {
    Family.TRANSITIONS: (
        "prefect_flow_run_transitions",
        "State transitions of flow runs, by state type; from_state is empty for a run's first.",
        _PARTIES,
        ("from_state", "to_state"),
    ),
    Family.FINISHED: (
        "prefect_flow_runs_finished",
        "Flow runs that ended: entries into a terminal state from one that is not.",
        _PARTIES,
        ("state",),
    ),
    Family.RETRIES: ("prefect_flow_run_retries", "Flow runs that went into AwaitingRetry.", _PARTIES, ()),
    Family.INFRA_FAILURES: (
        "prefect_flow_run_infra_failures",
        "Pull steps that failed on a worker.",
        _PARTIES,
        ("step",),
    ),
    Family.QUARANTINED: (
        "prefect_streamer_events_quarantined",
        "Frames that are no valid event, kept aside.",
        _SOURCE,
        ("reason",),
    ),
    Family.RECOVERED: (
        "prefect_streamer_events_recovered",
        "Events that the websocket did not bring.",
        _SOURCE,
        ("net",),
    ),
}


class Metrics:
    """An observer that remembers, and a collector that shows."""

    name = "metrics"

    def __init__(
        self, instruments: Instruments, totals: Totals, clock: Clock, *, series_limit: int = SERIES_LIMIT
    ) -> None:
        self._instruments = instruments
        self._clock = clock
        self._limit = series_limit
        self._counts = dict(totals.counts)
        self._names = dict(totals.names)
        self._exemplars: dict[Counter, Exemplar] = {}
        self._newest: dict[tuple[str, str], float] = {}
        self._limited: set[tuple[str, ...]] = set()
        instruments.registry.register(self)

    @property
    def registry(self) -> CollectorRegistry:
        """Return the registry that holds all of this service's metrics."""
        return self._instruments.registry

    def committed(self, source: str, net: Net, appended: Appended) -> None:
        """Take over the counters that a commit changed, and when its events came."""
        self._counts.update(appended.totals.counts)
        self._names.update(appended.totals.names)
        for record in appended.records:
            self._remember_run(source, record.event, appended.totals.counts)
            self._time(source, net, record.event)
        for beat in appended.beats:
            self._time(source, net, beat)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """Return body and content type in the format the scraper asks for; exemplars only in OpenMetrics."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def collect(self) -> Iterator[Metric]:
        """Yield the stored counters, then what this program is."""
        by_family: dict[Family, dict[Counter, int]] = defaultdict(dict)
        for counter, value in dict(self._counts).items():
            by_family[counter.family][counter] = value
            for zero in counting.initial(counter):
                by_family[zero.family].setdefault(zero, 0)
        for family in _SHOWN:
            yield self._shown(family, by_family[family])
        info = GaugeMetricFamily(
            "prefect_streamer_build_info", "What is running; always 1.", labels=("version", "python")
        )
        info.add_metric((__version__, platform.python_version()), 1)
        yield info

    def _shown(self, family: Family, counts: Mapping[Counter, int]) -> Metric:
        name, text, identity, particulars = _SHOWN[family]
        metric = CounterMetricFamily(name, text, labels=(*identity, *particulars))
        values: dict[tuple[str, ...], int] = defaultdict(int)
        exemplars: dict[tuple[str, ...], Exemplar] = {}
        for counter, value in counts.items():
            labels = self._within_limit(name, self._labels(counter, identity), values, len(particulars))
            values[labels] += value
            if counter in self._exemplars:
                exemplars[labels] = self._exemplars[counter]
        for labels, value in values.items():
            metric.add_metric(labels, value, exemplar=exemplars.get(labels))
        return metric

    def _labels(self, counter: Counter, identity: Sequence[str]) -> tuple[str, ...]:
        if identity == _SOURCE:
            return (counter.source, *counter.labels)
        ids = (counter.flow, counter.deployment, counter.work_pool)
        return (*(self._names.get(ident, "") for ident in ids), *counter.labels)

    def _within_limit(
        self, metric: str, labels: tuple[str, ...], shown: Mapping[tuple[str, ...], int], particulars: int
    ) -> tuple[str, ...]:
        """Fold what is beyond the limit into `other`; the first to come are kept, also over a restart."""
        if labels in shown or len(shown) < self._limit:
            return labels
        if (metric, *labels) not in self._limited:
            self._limited.add((metric, *labels))
            self._instruments.series_limited.labels(metric).inc()
        kept = len(labels) - particulars
        return (OTHER,) * kept + labels[kept:]

    def _remember_run(self, source: str, event: Event, changed: Mapping[Counter, int]) -> None:
        if isinstance(event, Transition):
            exemplar = Exemplar({"flow_run_id": str(event.run)}, 1, event.occurred.timestamp())
            for counter in counting.raised(source, event):
                if counter in changed:
                    self._exemplars[counter] = exemplar

    def _time(self, source: str, net: Net, event: Event) -> None:
        meters = self._instruments
        newest = self._newest[source, event.kind] = max(
            event.occurred.timestamp(), self._newest.get((source, event.kind), 0.0)
        )
        meters.last_event.labels(source, event.kind).set(newest)
        if event.received is None:
            return
        meters.skew.labels(source).observe(max(0.0, _seconds(event.occurred, event.received)))
        if net is Net.LIVE:
            meters.lag.labels(source).observe(max(0.0, _seconds(event.received, self._clock.now())))


def _seconds(start: datetime, end: datetime) -> float:
    return (end - start.astimezone(UTC)).total_seconds()
