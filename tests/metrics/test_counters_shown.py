"""How the store's counters and histograms are shown: buckets, chosen labels, prefix, and for how long."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest
from prometheus_client.core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.samples import Sample

from schemas import Transition, decode
from streamer.counting import USUAL_TRANSITIONS, Counting, label_of
from streamer.instruments import Instruments
from streamer.metrics.counters import Choices, Metrics
from streamer.model import Appended, Counter, Family, Measured, Net, Totals
from streamer.testing import an_event
from tests.clock import NOON, Clock

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
RUN = UUID("e24e6040-3e4a-4f5e-a82f-53660eff5e35")
NAMES = {"f1": "etl", "d1": "nightly", "d2": "hourly", "q1": "default"}
USUAL = ("flow", "deployment", "work_pool")
TRANSITIONS = "prefect_flow_run_transitions_total"
FINISHED = "prefect_flow_runs_finished_total"
DURATION = "prefect_flow_run_duration_seconds"
WAIT = "prefect_flow_run_queue_wait_seconds"
BUCKETS = Counting(duration_buckets=(1.0, 5.0, 60.0), queue_wait_buckets=(1.0,))


def showing(counts: Mapping[Counter, int], *, clock: Clock | None = None, **choices: Any) -> Metrics:
    return Metrics(Instruments(), Totals(counts, NAMES), clock or Clock(), Choices(**choices))


def moved(deployment: str = "d1", *more: tuple[str, str], flow: str = "f1", after: str = "RUNNING") -> Counter:
    return Counter(Family.TRANSITIONS, "default", flow, deployment, "", ("PENDING", after), more)


def lasted(bound: str, *, state: str = "COMPLETED", deployment: str = "d1") -> Counter:
    return Counter(Family.DURATION, "default", "f1", deployment, "", (state, bound))


def in_sum(seconds: float, *, state: str = "COMPLETED", deployment: str = "d1") -> dict[Counter, int]:
    return {Counter(Family.DURATION_SUM, "default", "f1", deployment, "", (state,)): round(seconds * 1_000_000)}


def raise_to(metrics: Metrics, counts: Mapping[Counter, int], names: Mapping[str, str] | None = None) -> None:
    metrics.committed("default", Net.LIVE, Appended(totals=Totals(counts, names or {})))


def samples(metrics: Metrics, name: str) -> list[Sample]:
    return [each for family in metrics.exposed.collect() for each in family.samples if each.name == name]


def by_labels(metrics: Metrics, name: str, *labels: str) -> dict[tuple[str, ...], float]:
    """Return the sums of the values above 0, by these labels."""
    found: dict[tuple[str, ...], float] = defaultdict(float)
    for each in samples(metrics, name):
        if each.value:
            found[tuple(each.labels[label] for label in labels)] += each.value
    return dict(found)


def buckets(metrics: Metrics, name: str = DURATION) -> dict[str, float]:
    return {each.labels["le"]: each.value for each in samples(metrics, f"{name}_bucket")}


def read(body: bytes, accept: str) -> list[Metric]:
    """Return what a scraper reads."""
    text = body.decode()
    if accept == OPENMETRICS:
        return list(parse_openmetrics(text))  # type: ignore[no-untyped-call]  # the library's parser has no types
    return list(parse_text(text))


def exemplars(metrics: Metrics) -> dict[str, Any]:
    """Return the exemplars of buckets, by upper bound."""
    families = read(metrics.exposition(OPENMETRICS)[0], OPENMETRICS)
    found = (each for family in families for each in family.samples if each.name == f"{DURATION}_bucket")
    return {each.labels["le"]: each.exemplar for each in found if each.exemplar}


def test_buckets_are_cumulative_and_end_beyond_all() -> None:
    counts = {lasted("1.0"): 1, lasted("5.0"): 20, lasted("+Inf"): 300, **in_sum(12.5)}
    metrics = showing(counts, counting=BUCKETS)
    assert buckets(metrics) == {"1.0": 1, "5.0": 21, "60.0": 21, "+Inf": 321}
    assert by_labels(metrics, f"{DURATION}_sum", "flow", "state") == {("etl", "COMPLETED"): 12.5}
    assert by_labels(metrics, f"{DURATION}_count", "deployment") == {("nightly",): 321}


def test_ends_of_each_state_have_a_sum_of_their_own() -> None:
    counts = {lasted("1.0"): 1, **in_sum(1), lasted("5.0", state="FAILED"): 2, **in_sum(7, state="FAILED")}
    sums = by_labels(showing(counts, counting=BUCKETS), f"{DURATION}_sum", "state")
    assert sums == {("COMPLETED",): 1, ("FAILED",): 7}


def test_the_run_measured_last_is_its_buckets_exemplar() -> None:
    metrics = showing({}, counting=BUCKETS)
    counter = lasted("5.0")
    measured = [Measured(counter, RUN, 4.5, NOON)]
    totals = Totals({counter: 1, **in_sum(4.5)})
    metrics.committed("default", Net.LIVE, Appended(totals=totals, measured=measured))
    found = exemplars(metrics)
    assert list(found) == ["5.0"]
    assert (found["5.0"].labels, found["5.0"].value) == ({"flow_run_id": str(RUN)}, 4.5)
    assert float(found["5.0"].timestamp) == NOON.timestamp()
    assert str(RUN) not in metrics.exposition("text/plain")[0].decode()


def test_what_was_counted_with_other_bounds_is_in_the_bucket_that_holds_it_for_certain() -> None:
    counts = {lasted("1.0"): 1, lasted("15.0"): 20, lasted("300.0"): 300, lasted("+Inf"): 4000, **in_sum(9)}
    metrics = showing(counts, counting=BUCKETS)
    assert buckets(metrics) == {"1.0": 1, "5.0": 1, "60.0": 21, "+Inf": 4321}


def test_a_histogram_without_bounds_is_not_shown() -> None:
    counts = {lasted("5.0"): 1, **in_sum(3), Counter(Family.QUEUE_WAIT, "default", labels=("1.0",)): 1}
    metrics = showing(counts, counting=Counting(duration_buckets=(), queue_wait_buckets=(1.0,)))
    assert buckets(metrics) == {}
    assert buckets(metrics, WAIT) == {"1.0": 1, "+Inf": 1}


def test_a_histogram_beyond_the_limit_keeps_count_and_sum_in_other() -> None:
    counts: dict[Counter, int] = {}
    for number in range(5):
        counts |= {lasted("1.0", deployment=f"d{number}"): 1, **in_sum(0.5, deployment=f"d{number}")}
    metrics = Metrics(
        Instruments(),
        Totals(counts, {f"d{number}": f"number {number}" for number in range(5)}),
        Clock(),
        Choices(series_limit=12, counting=BUCKETS),  # a histogram of three bounds is six series
    )
    assert by_labels(metrics, f"{DURATION}_count", *USUAL) == {
        ("", "number 0", ""): 1,
        ("", "number 1", ""): 1,
        ("other",) * 3: 3,
    }
    assert sum(by_labels(metrics, f"{DURATION}_sum", "deployment").values()) == 2.5


def test_sources_are_told_apart_if_they_are_chosen() -> None:
    counts = {moved(): 2, moved()._replace(source="eu"): 3}
    chosen = showing(counts, labels=("source", "flow"))
    assert by_labels(chosen, TRANSITIONS, "source", "flow") == {("default", "etl"): 2, ("eu", "etl"): 3}
    assert by_labels(showing(counts), TRANSITIONS, *USUAL) == {("etl", "nightly", ""): 5}


def test_labels_that_are_not_chosen_are_summed_and_gone() -> None:
    counts = {moved("d1", ("tag_team", "a")): 1, moved("d2", ("tag_team", "b")): 10, moved(flow="f2"): 100}
    metrics = showing(counts, labels=("flow",))
    assert by_labels(metrics, TRANSITIONS, "flow") == {("etl",): 11, ("",): 100}
    assert {frozenset(each.labels) for each in samples(metrics, TRANSITIONS)} == {
        frozenset(("flow", "from_state", "to_state"))
    }


def test_a_work_queue_is_shown_by_its_newest_name() -> None:
    metrics = showing({moved("d1", ("work_queue", "q1")): 2}, labels=("work_queue",))
    assert by_labels(metrics, TRANSITIONS, "work_queue") == {("default",): 2}
    raise_to(metrics, {}, {"q1": "urgent"})
    assert by_labels(metrics, TRANSITIONS, "work_queue") == {("urgent",): 2}


def test_names_of_states_are_told_of_transitions_and_ends_only() -> None:
    late = moved("d1", ("state_name", "Late"))
    retried = late._replace(family=Family.RETRIES, labels=())
    finished = late._replace(family=Family.FINISHED, labels=("FAILED",), more=(("state_name", "TimedOut"),))
    metrics = showing({late: 1, retried: 2, finished: 3, lasted("1.0"): 4}, labels=("flow", "state_name"))
    assert by_labels(metrics, TRANSITIONS, "state_name") == {("Late",): 1}
    assert by_labels(metrics, FINISHED, "state_name", "state") == {("TimedOut", "FAILED"): 3}
    for other in ("prefect_flow_run_retries_total", f"{DURATION}_count"):
        assert samples(metrics, other)
        assert all("state_name" not in each.labels for each in samples(metrics, other))


@pytest.mark.parametrize(("key", "label"), [("team", "tag_team"), ("cost center/№1", "tag_cost_center__1")])
def test_tags_of_a_key_are_a_label(key: str, label: str) -> None:
    assert label_of(key) == label
    event = an_event(occurred=NOON)
    tags = (f"{key}:data", "untold:x", "plain")
    event["related"] += [{"prefect.resource.id": f"prefect.tag.{tag}", "prefect.resource.role": "tag"} for tag in tags]
    counting = Counting(more=(label,))
    metrics = showing({}, labels=(label,), counting=counting)
    raise_to(metrics, dict.fromkeys(counting.raised("default", decode(orjson.dumps(event))), 1))
    assert by_labels(metrics, TRANSITIONS, label) == {("data",): 1}
    assert read(metrics.exposition("text/plain")[0], "text/plain")


@pytest.mark.parametrize("accept", ["text/plain", OPENMETRICS])
def test_prefix_and_static_labels_are_on_every_metric_of_ours(accept: str) -> None:
    counts = {moved(): 1, lasted("5.0"): 1, **in_sum(3)}
    metrics = showing(counts, prefix="acme", static_labels={"env": "prod", "flow": "never"}, counting=BUCKETS)
    families = read(metrics.exposition(accept)[0], accept)
    assert {each.name.partition("_")[0] for each in families} == {"acme"}
    found = [each for family in families for each in family.samples]
    assert {each.labels["env"] for each in found} == {"prod"}
    assert {"acme_flow_run_duration_seconds_bucket", "acme_flow_run_transitions_total"} <= {each.name for each in found}
    flows = {each.labels["flow"] for each in found if each.name == "acme_flow_run_transitions_total"}
    assert flows == {"etl"}, "a label of the metric's own wins"


def test_exemplars_stay_under_another_prefix() -> None:
    metrics = showing({}, prefix="acme")
    event = decode(orjson.dumps(an_event(run=str(RUN), occurred=NOON)))
    assert isinstance(event, Transition)
    examples = dict.fromkeys(Counting().raised("default", event), event)
    metrics.committed("default", Net.LIVE, Appended(totals=Totals(dict.fromkeys(examples, 1)), examples=examples))
    assert str(RUN) in metrics.exposition(OPENMETRICS)[0].decode()


def after(metrics: Metrics, clock: Clock, days: float, counts: Iterable[Counter] = ()) -> None:
    """Let days go by, and then something happen."""
    clock.time += timedelta(days=days)
    raise_to(metrics, dict.fromkeys(counts, 100))


def test_series_of_a_deployment_unseen_for_long_vanish_and_come_back_with_their_total() -> None:
    clock, old, current = Clock(), moved("d1"), moved("d2")
    metrics = showing({old: 5, current: 7}, clock=clock, series_ttl=timedelta(days=7))
    after(metrics, clock, 7, [current])
    assert by_labels(metrics, TRANSITIONS, "deployment") == {("nightly",): 5, ("hourly",): 100}
    after(metrics, clock, 0.1)
    assert by_labels(metrics, TRANSITIONS, "deployment") == {("hourly",): 100}
    assert {each.labels["deployment"] for each in samples(metrics, FINISHED)} == {"hourly"}
    raise_to(metrics, {old: 6})
    assert by_labels(metrics, TRANSITIONS, "deployment") == {("nightly",): 6, ("hourly",): 100}


def test_histograms_vanish_with_their_deployment() -> None:
    clock = Clock()
    metrics = showing({lasted("1.0"): 5, **in_sum(3)}, clock=clock, counting=BUCKETS)
    after(metrics, clock, 8)
    assert buckets(metrics) == {}
    assert samples(metrics, f"{DURATION}_sum") == []


def test_after_a_restart_series_are_as_old_as_the_store_says() -> None:
    old, current = moved("d1"), moved("d2")
    raised = {old: NOON - timedelta(days=8), current: NOON - timedelta(days=6)}
    metrics = Metrics(Instruments(), Totals({old: 5, current: 7}, NAMES, raised), Clock())
    assert by_labels(metrics, TRANSITIONS, "deployment") == {("hourly",): 7}


def test_a_label_set_of_an_old_and_a_current_deployment_does_not_fall() -> None:
    clock, old, current = Clock(), moved("d1"), moved("d2")
    metrics = showing({old: 5, current: 7}, clock=clock, labels=("flow",))
    after(metrics, clock, 8, [current])
    assert by_labels(metrics, TRANSITIONS, "flow") == {("etl",): 105}


def test_what_is_about_a_source_is_shown_as_long_as_anything_is_heard_of_it() -> None:
    clock = Clock()
    metrics = showing({moved(): 5, Counter(Family.DUPLICATES, "default", labels=("live",)): 3}, clock=clock)
    after(metrics, clock, 6, [Counter(Family.DUPLICATES, "default", labels=("sweep",))])
    after(metrics, clock, 6)
    found = by_labels(metrics, "prefect_streamer_events_duplicate_total", "net")
    assert found == {("live",): 3, ("sweep",): 100}


def other_of(metrics: Metrics) -> float:
    return by_labels(metrics, TRANSITIONS, "deployment").get(("other",), 0)


def limited_to_one(clock: Clock, counts: Mapping[Counter, int]) -> Metrics:
    """Return metrics that show one deployment by itself, and have seen these counts."""
    names = {**NAMES, "d3": "weekly"}
    limit = Choices(series_limit=len(USUAL_TRANSITIONS), series_ttl=timedelta(days=7))
    metrics = Metrics(Instruments(), Totals(counts, names), clock, limit)
    assert other_of(metrics) == sum(list(counts.values())[1:])
    return metrics


def test_other_does_not_fall_when_what_is_in_it_is_unseen_for_long() -> None:
    clock = Clock()
    metrics = limited_to_one(clock, {moved("d1"): 5, moved("d2"): 7})
    after(metrics, clock, 8, [moved("d1")])
    assert by_labels(metrics, TRANSITIONS, "deployment") == {("nightly",): 100, ("other",): 7}


def test_other_does_not_fall_when_a_place_becomes_free_which_a_new_series_takes() -> None:
    clock = Clock()
    metrics = limited_to_one(clock, {moved("d1"): 5, moved("d2"): 7})
    after(metrics, clock, 8, [moved("d2")])
    assert by_labels(metrics, TRANSITIONS, "deployment") == {("other",): 100}
    after(metrics, clock, 0, [moved("d3")])
    assert by_labels(metrics, TRANSITIONS, "deployment") == {("weekly",): 100, ("other",): 100}
    after(metrics, clock, 0, [moved("d1")])
    assert by_labels(metrics, TRANSITIONS, "deployment") == {("weekly",): 100, ("other",): 200}


def test_a_histograms_other_keeps_its_sum_when_what_is_in_it_is_unseen_for_long() -> None:
    clock = Clock()
    counts = {lasted("1.0"): 1, **in_sum(0.5), lasted("1.0", deployment="d2"): 1, **in_sum(0.25, deployment="d2")}
    metrics = showing(counts, clock=clock, series_limit=6, counting=BUCKETS)
    samples(metrics, f"{DURATION}_sum")
    after(metrics, clock, 8, [lasted("1.0")])
    assert by_labels(metrics, f"{DURATION}_sum", "deployment") == {("nightly",): 0.5, ("other",): 0.25}


def test_names_of_states_without_end_stay_within_the_limit_and_nothing_is_lost() -> None:
    counts = {
        moved(f"d{deployment}", ("state_name", f"Step {step}")): 1 for deployment in range(1_000) for step in range(100)
    }
    names = {f"d{deployment}": f"deployment {deployment}" for deployment in range(1_000)}
    labels = ("deployment", "state_name")
    metrics = Metrics(Instruments(), Totals(counts, names), Clock(), Choices(labels=labels, series_limit=500))
    (family,) = (each for each in metrics.collect() if f"{each.name}_total" == TRANSITIONS)
    assert len(family.samples) <= 500 + 14, "besides `other`, once for each usual pair of states"
    assert sum(each.value for each in family.samples) == len(counts)
    others = {each.value for each in family.samples if each.labels["deployment"] == "other"}
    assert max(others) > 19_000
