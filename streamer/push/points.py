"""The catalogue as typed points, for those who are told what Prometheus asks for. Pure: the time is an argument.

A total is known by when it began: those that the store keeps began with the store and go on over restarts, the others
with the process.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise
from math import inf, isfinite
from typing import NamedTuple, TypeGuard

from prometheus_client import Metric

Begun = Callable[[str], float | None]
"""When the totals of this name were 0, in seconds since 1970; None as long as nobody knows."""


class Series(NamedTuple):
    """What tells a value from all others: the name as in the catalogue, and label names with values."""

    name: str
    labels: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Gauge:
    """What is true now."""

    value: float


@dataclass(frozen=True, slots=True)
class Sum:
    """How many since the series began."""

    total: float


@dataclass(frozen=True, slots=True)
class Distribution:
    """What was observed since the series began: `counts` has one more than `bounds`, for what is above them all."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    sum: float

    @property
    def count(self) -> int:
        """Return how many were observed."""
        return sum(self.counts)

    @property
    def cumulative(self) -> Iterator[tuple[float, int]]:
        """Yield each upper bound, the last infinite, with how many were observed up to it."""
        return zip((*self.bounds, inf), accumulate(self.counts), strict=True)


Total = Sum | Distribution
Value = Gauge | Total


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All there is `at` a time: values by series, and by name what they mean and when totals began.

    `hidden` are totals that are not shown at the time, because nothing has raised them for long; they may come back.
    """

    at: float
    values: Mapping[Series, Value] = field(default_factory=dict)
    hidden: Mapping[Series, Total] = field(default_factory=dict)
    meanings: Mapping[str, str] = field(default_factory=dict)
    begun: Mapping[str, float] = field(default_factory=dict)

    def remembering(self, older: "Snapshot") -> "Snapshot":
        """Return it with the totals of an older one that it does not show."""
        known = {**older.hidden, **{series: value for series, value in older.values.items() if _is_total(value)}}
        hidden = {series: value for series, value in known.items() if series not in self.values}
        return replace(self, hidden=hidden)

    def total(self, series: Series) -> Total | None:
        """Return what a total was, shown or not."""
        value = self.values.get(series)
        return value if _is_total(value) else self.hidden.get(series)


def snapshot(families: Iterable[Metric], at: float, begun: Begun) -> Snapshot:
    """Return the families' points, without totals that have not begun yet by this clock, and what is not finite."""
    values: dict[Series, Value] = {}
    meanings: dict[str, str] = {}
    began: dict[str, float] = {}
    for family in families:
        name = f"{family.name}_total" if family.type == "counter" else family.name
        meanings[name] = family.documentation
        if family.type == "gauge":
            values.update(_gauges(family))
            continue
        start = begun(name)
        if start is not None and start < at:
            began[name] = start
            values.update(_sums(family, name) if family.type == "counter" else _distributions(family))
    return Snapshot(at, values, meanings=meanings, begun=began)


def _gauges(family: Metric) -> Iterator[tuple[Series, Gauge]]:
    for sample in family.samples:
        if isfinite(sample.value):
            yield Series(sample.name, tuple(sample.labels.items())), Gauge(float(sample.value))


def _sums(family: Metric, name: str) -> Iterator[tuple[Series, Sum]]:
    for sample in family.samples:
        if sample.name == name:
            yield Series(name, tuple(sample.labels.items())), Sum(float(sample.value))


def _distributions(family: Metric) -> Iterator[tuple[Series, Distribution]]:
    buckets: dict[Series, list[tuple[float, int]]] = defaultdict(list)
    sums: dict[Series, float] = {}
    for sample in family.samples:
        series = Series(family.name, tuple((key, value) for key, value in sample.labels.items() if key != "le"))
        if sample.name == f"{family.name}_bucket":
            buckets[series].append((float(sample.labels["le"]), int(sample.value)))
        elif sample.name == f"{family.name}_sum":
            sums[series] = float(sample.value)
    for series, those in buckets.items():
        bounds, upto = zip(*sorted(those), strict=True)
        counts = tuple(after - before for before, after in pairwise((0, *upto)))
        yield series, Distribution(bounds[:-1], counts, sums.get(series, 0.0))


def earlier(now: Snapshot, before: Snapshot) -> dict[Series, Total]:
    """Return for each total of now what it was before, so that the difference is what was counted in between.

    One that was not there was at 0; but if another of its name went or fell, a flow or deployment was renamed and has
    taken its number along: then nothing was counted. Nor is what fell.
    """
    totals = {series: value for series, value in now.values.items() if _is_total(value)}
    shown = ((series, was) for series, was in before.values.items() if _is_total(was))
    renamed = {series.name for series, was in shown if _fell(was, totals.get(series))}
    found: dict[Series, Total] = {}
    for series, value in totals.items():
        was = before.total(series)
        if was is None:
            found[series] = value if series.name in renamed else _zero(value)
        else:
            found[series] = value if _fell(was, value) else was
    return found


def births(now: Snapshot, before: Snapshot) -> dict[Series, Total]:
    """Return the totals that have risen from 0 since, at 0: whoever is shown both sees the rise."""
    return {
        series: was
        for series, was in earlier(now, before).items()
        if before.total(series) is None and was != now.values[series] and now.begun[series.name] < before.at
    }


def _is_total(value: Value | None) -> TypeGuard[Total]:
    return isinstance(value, Sum | Distribution)


def _fell(was: Total, value: Total | None) -> bool:
    return value is None or _size(value) < _size(was)


def _size(value: Total) -> float:
    return value.total if isinstance(value, Sum) else value.count


def _zero(value: Total) -> Total:
    return Sum(0.0) if isinstance(value, Sum) else Distribution(value.bounds, (0,) * len(value.counts), 0.0)
