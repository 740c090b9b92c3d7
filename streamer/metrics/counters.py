"""The counters and histograms of the store as Prometheus sees them.

They are mirrors of the store's totals, set to absolute values after each commit, so that a restart changes none. They
are kept by ids and shown by names: a renamed deployment keeps one series, equal label sets are summed.
"""

import platform
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from uuid import UUID

from prometheus_client import Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString

from schemas import Event, Kind
from streamer import __version__, counting
from streamer.counting import INFINITE, Counting
from streamer.instruments import Instruments
from streamer.metrics.dressing import USUAL_PREFIX, Dressed
from streamer.metrics.families import COUNTERS, HISTOGRAMS, Shown
from streamer.metrics.labels import USUAL, Labels
from streamer.metrics.places import Places, Values, other
from streamer.model import Appended, Clock, Counter, Family, Net, Totals

SERIES_LIMIT = 10_000
SERIES_TTL = timedelta(days=7)

Group = tuple[str, str, str, str]
"""Source, flow, deployment and work pool, by which series are forgotten together."""

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Choices:
    """What `[metrics]` chooses: labels, buckets, and how much is shown, for how long after it was raised last."""

    labels: tuple[str, ...] = USUAL
    static_labels: Mapping[str, str] = field(default_factory=dict)
    prefix: str = USUAL_PREFIX
    series_limit: int = SERIES_LIMIT
    series_ttl: timedelta = SERIES_TTL
    counting: Counting = field(default_factory=Counting)


class Metrics:
    """An observer that remembers, and a collector that shows."""

    name = "metrics"

    def __init__(self, instruments: Instruments, totals: Totals, clock: Clock, choices: Choices | None = None) -> None:
        self.choices = choices or Choices()
        self.names = dict(totals.names)
        """The newest name of each flow, deployment, work pool and queue by id."""
        self.labels = Labels(self.names, self.choices.labels)
        self.exposed = Dressed(instruments.registry, prefix=self.choices.prefix, labels=self.choices.static_labels)
        """All of this service's metrics, as they are shown."""
        self._instruments = instruments
        self._clock = clock
        self._counts: dict[Family, dict[Counter, int]] = {family: {} for family in Family}
        self._raised: dict[Group, datetime] = {}
        self._begun: set[Counter] = set()
        self._values: dict[Counter, Values] = {}
        self._exemplars: dict[Counter, Exemplar] = {}
        self._newest: dict[tuple[str, Kind], datetime] = {}
        self._places: dict[str, Places] = {}
        self.take_over(totals)
        instruments.registry.register(self)

    def committed(self, source: str, net: Net, appended: Appended) -> None:
        """Take over the counters that a commit changed, and when its events came."""
        self.take_over(appended.totals)
        for counter, event in appended.examples.items():
            self._exemplars[counter] = _exemplar(event.run, 1, event.occurred)
        self._time(source, net, [*(record.event for record in appended.records), *appended.beats])
        for each in appended.measured:
            self._exemplars[each.counter] = _exemplar(each.run, each.seconds, each.at)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """Return body and content type in the format the scraper asks for; exemplars only in OpenMetrics."""
        encode, content_type = choose_encoder(accept)
        return encode(self.exposed), content_type

    def collect(self) -> Iterator[Metric]:
        """Yield the stored counters and histograms, then what this program is."""
        for family, shown in COUNTERS.items():
            yield self._counter(family, shown)
        yield self._histogram(Family.DURATION, Family.DURATION_SUM, self.choices.counting.duration_buckets)
        yield self._histogram(Family.QUEUE_WAIT, Family.QUEUE_WAIT_SUM, self.choices.counting.queue_wait_buckets)
        info = GaugeMetricFamily(
            "prefect_streamer_build_info", "What is running; always 1.", labels=("version", "python")
        )
        info.add_metric((__version__, platform.python_version()), 1)
        yield info

    def take_over(self, totals: Totals) -> None:
        """Show counters with these values from now on, and these names."""
        if any(self.names.get(ident) != name for ident, name in totals.names.items()):
            self.names.update(totals.names)
            self._values = {}
        now = self._clock.now()
        for counter, value in totals.counts.items():
            self._counts[counter.family][counter] = value
            group = counter[1:5]
            if group not in self._raised:
                self.begin_at_0(counting.initial_of(counter.source))
            if (beginning := counting.beginning(counter)) not in self._begun:
                self._begun.add(beginning)
                self.begin_at_0(counting.initial(beginning))
            self._raised[group] = max(totals.raised.get(counter, now), self._raised.get(group, _LONG_AGO))

    def begin_at_0(self, counters: Iterable[Counter]) -> None:
        """Show counters that may not have been raised yet."""
        for counter in counters:
            self._counts[counter.family].setdefault(counter, 0)

    def _placed(
        self, family: Family, shown: Shown, chosen: Values, limit: int
    ) -> Iterator[tuple[Counter, Values, int]]:
        """Yield the counters of a metric with the labels of the series that each is part of.

        Left out is what was not raised lately, nor any that says the same; but not from `other`.
        """
        places = self._places.setdefault(shown.name, Places(limit))
        found = list(self._wanted(family, shown, chosen))
        places.free({wanted for _, wanted, _, is_current in found if is_current})
        for counter, wanted, value, is_current in found:
            if not is_current and wanted not in places.sharing:
                continue
            before = len(places.sharing)
            labels = wanted if places.has(wanted) else other(wanted, len(chosen))
            if len(places.sharing) > before:
                self._instruments.series_limited.labels(shown.name).inc()
            yield counter, labels, value

    def _wanted(self, family: Family, shown: Shown, chosen: Values) -> Iterator[tuple[Counter, Values, int, bool]]:
        """Yield counters with the labels they would have, and whether one with the same was raised lately."""
        horizon = self._clock.now() - self.choices.series_ttl
        counts = dict(self._counts[family])  # it may grow meanwhile
        raised: dict[Values, datetime] = {}
        for counter in counts:
            told = self._told(counter, chosen)
            raised[told] = max(self._raised.get(counter[1:5], horizon), raised.get(told, _LONG_AGO))
        for counter, value in counts.items():
            told = self._told(counter, chosen)
            own = counter.labels[: len(shown.labels)]
            yield counter, (*told, *own), value, raised[told] >= horizon

    def _counter(self, family: Family, shown: Shown) -> Metric:
        chosen = self._chosen(shown)
        metric = CounterMetricFamily(shown.name, shown.text, labels=(*chosen, *shown.labels))
        values: dict[Values, int] = defaultdict(int)
        exemplars: dict[Values, Exemplar] = {}
        for counter, labels, value in self._placed(family, shown, chosen, self.choices.series_limit):
            values[labels] += value
            if counter in self._exemplars:
                exemplars[labels] = self._exemplars[counter]
        for labels, value in values.items():
            metric.add_metric(labels, value, exemplar=exemplars.get(labels))
        return metric

    def _histogram(self, family: Family, sums: Family, bounds: Sequence[float]) -> Metric:
        """Return a histogram; what was counted with other bounds is in the bucket that holds it for certain."""
        shown = HISTOGRAMS[family]
        chosen, most = self._chosen(shown), max(1, self.choices.series_limit // (len(bounds) + 3))
        metric = HistogramMetricFamily(shown.name, shown.text, labels=(*chosen, *shown.labels))
        buckets: dict[Values, list[int]] = {}
        exemplars: dict[tuple[Values, int], tuple[Exemplar]] = {}
        totals: dict[Values, int] = defaultdict(int)
        for counter, labels, value in self._placed(family, shown, chosen, most) if bounds else ():
            place = bisect_left(bounds, float(counter.labels[-1]))
            buckets.setdefault(labels, [0] * (len(bounds) + 1))[place] += value
            if counter in self._exemplars:
                exemplars[labels, place] = (self._exemplars[counter],)
        for _, wanted, value, _ in self._wanted(sums, shown, chosen) if bounds else ():
            shares = wanted in self._places[shown.name].sharing
            totals[other(wanted, len(chosen)) if shares else wanted] += value
        for labels, counts in buckets.items():
            named = zip((*map(floatToGoString, bounds), INFINITE), accumulate(counts), strict=True)
            filled = [(*each, *exemplars.get((labels, place), ())) for place, each in enumerate(named)]
            metric.add_metric(labels, filled, totals[labels] / 1_000_000)
        return metric

    def _chosen(self, shown: Shown) -> Values:
        return self.labels.of_counters(state_name=shown.state_name) if shown.of is None else shown.of

    def _told(self, counter: Counter, chosen: Values) -> Values:
        """Return what the chosen labels say of a counter; looked up once, until a name changes."""
        known = self._values  # another thread may begin a new one
        told = known.get(counter)
        if told is None:
            told = known[counter] = self.labels.values(counter, chosen)
        return told

    def _time(self, source: str, net: Net, events: Sequence[Event]) -> None:
        """Take note of when events occurred, by kind, and how much later they were received, there and here."""
        meters, now = self._instruments, self._clock.now()
        for event in events:
            place = source, event.kind
            self._newest[place] = max(event.occurred, self._newest.get(place, _LONG_AGO))
        for kind in {event.kind for event in events}:
            meters.last_event.labels(source, kind).set(self._newest[source, kind].timestamp())
        received = [(event.occurred, event.received) for event in events if event.received]
        _observe(meters.skew, source, [there - occurred for occurred, there in received])
        if net is Net.LIVE:
            _observe(meters.lag, source, [now - there for _, there in received])


def _observe(histogram: Histogram, source: str, lengths: Sequence[timedelta]) -> None:
    if lengths:
        shown = histogram.labels(source)
        for length in lengths:
            shown.observe(max(0.0, length.total_seconds()))


def _exemplar(run: UUID, value: float, at: datetime) -> Exemplar:
    return Exemplar({"flow_run_id": str(run)}, value, at.timestamp())
