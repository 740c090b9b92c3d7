"""Every metric becomes points that say the same, and two snapshots tell what was counted in between."""

from bisect import bisect_left
from collections import Counter as Multiset
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Gauge, Histogram

from streamer.instruments import Instruments
from streamer.push.points import Distribution, Series, Snapshot, Sum, Value, births, earlier, snapshot
from streamer.push.points import Gauge as GaugePoint
from tests.push.catalogues import PROCESS_START, STORE_START, TRANSITIONS, WRITES, Registry

BOUNDS = (0.1, 1.0, 5.0)
NAMES = st.sampled_from("abcd")


def sums(**totals: float) -> dict[Series, Value]:
    return {Series("x", (("flow", flow),)): Sum(total) for flow, total in totals.items()}


def at(seconds: float, values: dict[Series, Value]) -> Snapshot:
    return Snapshot(seconds, values, begun={"x": 1.0})


def growth(now: Snapshot, before: Snapshot) -> dict[str, float]:
    """Return by flow what was counted in between."""
    past = earlier(now, before)
    return {
        series.labels[0][1]: value.total - was.total
        for series, value in now.values.items()
        if isinstance(value, Sum) and isinstance(was := past[series], Sum)
    }


def test_each_type_becomes_its_point() -> None:
    registry = Registry(etl=7)
    registry.lag.labels("archive").set(3)
    registry.took.labels("archive").observe(0.5)
    found = {series.name: (series.labels, value) for series, value in registry.at(60).values.items()}
    assert found == {
        TRANSITIONS: ((("flow", "etl"), ("work_pool", "")), Sum(7)),
        "prefect_streamer_sink_lag_records": ((("sink", "archive"),), GaugePoint(3)),
        "prefect_streamer_sink_write_duration_seconds": (
            (("sink", "archive"),),
            Distribution((0.1, 1.0), (0, 1, 0), 0.5),
        ),
    }


def test_every_instrument_of_ours_is_there() -> None:
    instruments = Instruments()
    for meter in vars(instruments).values():
        if labels := getattr(meter, "_labelnames", ()):
            meter.labels(*labels)
    shown = snapshot(instruments.registry.collect(), PROCESS_START, lambda _: 0.0)
    kinds = {"counter": Sum, "gauge": GaugePoint, "histogram": Distribution}
    families = list(instruments.registry.collect())
    assert {series.name.removesuffix("_total"): type(value) for series, value in shown.values.items()} == {
        family.name: kinds[family.type] for family in families
    }
    assert set(shown.meanings.values()) == {family.documentation for family in families}


@given(st.lists(st.floats(0, 100, allow_nan=False) | st.sampled_from(BOUNDS)))
def test_a_histogram_is_told_by_how_many_fell_between_its_bounds(observed: list[float]) -> None:
    registry = CollectorRegistry()
    histogram = Histogram("h", "H.", buckets=BOUNDS, registry=registry)
    for each in observed:
        histogram.observe(each)
    (value,) = snapshot(registry.collect(), 1.0, lambda _: 0.0).values.values()
    between = Multiset(bisect_left(BOUNDS, each) for each in observed)
    assert value == Distribution(BOUNDS, tuple(between[place] for place in range(4)), sum(observed))
    assert isinstance(value, Distribution)
    assert value.count == len(observed)
    assert list(value.cumulative) == [(bound, sum(each <= bound for each in observed)) for bound in (*BOUNDS, inf)]


@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_what_is_not_finite_is_left_out(value: float) -> None:
    registry = CollectorRegistry()
    Gauge("g", "G.", registry=registry).set(value)
    assert snapshot(registry.collect(), 1.0, lambda _: 0.0).values == {}


@pytest.mark.parametrize("start", [None, 60.0, 61.0])
def test_totals_are_left_out_until_they_have_begun(start: float | None) -> None:
    registry = Registry(etl=1)
    assert snapshot(registry.all.collect(), 60.0, lambda _: start).values == {}


def test_a_total_is_told_with_the_time_it_began() -> None:
    shown = Registry(etl=1).at(60)
    assert shown.begun == {
        TRANSITIONS: STORE_START,
        WRITES: PROCESS_START,
        "prefect_streamer_sink_write_duration_seconds": PROCESS_START,
    }


@given(st.dictionaries(NAMES, st.integers(0, 9)), st.dictionaries(NAMES, st.integers(0, 9)))
def test_what_was_counted_in_between_is_the_difference(before: dict[str, int], more: dict[str, int]) -> None:
    after = {flow: before.get(flow, 0) + more.get(flow, 0) for flow in before.keys() | more.keys()}
    grown = growth(at(20, sums(**after)), at(10, sums(**before)))
    assert grown == {flow: more.get(flow, 0) for flow in after}


@given(st.dictionaries(NAMES, st.integers(1, 9), min_size=1), st.data())
def test_a_rename_counts_nothing(before: dict[str, int], data: st.DataObject) -> None:
    renamed = data.draw(st.sampled_from(sorted(before)))
    after = {"z" if flow == renamed else flow: total for flow, total in before.items()}
    now, then = at(20, sums(**after)), at(10, sums(**before))
    assert set(growth(now, then).values()) == {0}
    assert births(now, then) == {}


def test_what_falls_because_one_of_two_of_its_name_was_renamed_counts_nothing() -> None:
    assert growth(at(20, sums(a=3, b=4)), at(10, sums(a=7))) == {"a": 0, "b": 0}


def test_what_has_risen_from_nothing_was_at_0_before() -> None:
    now, then = at(20, sums(a=7, b=2, c=0)), at(10, sums(a=3))
    assert births(now, then) == sums(b=0)


def test_what_was_not_shown_for_a_while_goes_on_where_it_was() -> None:
    before = at(10, sums(a=7, b=1))
    for seconds in (15, 20):
        before = at(seconds, sums(b=1)).remembering(before)
    assert growth(at(30, sums(a=8, b=1)), before) == {"a": 1, "b": 0}
    assert births(at(30, sums(a=8, b=1)), before) == {}


def test_what_is_shown_again_is_not_remembered_as_it_was_before() -> None:
    before = at(20, sums(a=9)).remembering(at(15, sums(b=1)).remembering(at(10, sums(a=7))))
    assert before.hidden == sums(b=1)
    assert growth(at(30, sums(a=9, b=1)), before) == {"a": 0, "b": 0}


def test_gauges_are_not_remembered() -> None:
    registry = Registry()
    registry.lag.labels("archive").set(3)
    assert Registry().at(20).remembering(registry.at(10)).hidden == {}


def test_a_histogram_that_is_new_was_empty_before() -> None:
    registry = Registry()
    then = registry.at(10)
    registry.took.labels("archive").observe(0.5)
    assert list(births(registry.at(20), then).values()) == [Distribution((0.1, 1.0), (0, 0, 0), 0.0)]


def test_there_was_no_0_before_it_began() -> None:
    values = {Series("x", ()): Sum(1.0)}
    assert births(Snapshot(20, values, begun={"x": 15.0}), Snapshot(10)) == {}
