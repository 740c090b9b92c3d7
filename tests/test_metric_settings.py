"""What `[metrics]` takes, what it refuses and with which words, and what becomes of it."""

from datetime import timedelta
from typing import Any

import pytest

from streamer import config
from streamer.config import Settings
from streamer.counting import DURATION_BUCKETS, QUEUE_WAIT_BUCKETS
from streamer.durations import in_words
from streamer.errors import ConfigError
from streamer.metric_settings import MetricsSettings


@pytest.fixture(autouse=True)
def _alone(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMER_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def loaded(**metrics: Any) -> Settings:
    return config.load(api_url="http://host/api", metrics=metrics)


def refusal(**metrics: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        loaded(**metrics)
    return str(caught.value)


@pytest.mark.parametrize("label", ["flow_run", "tag_", "tag_a-b", "", "FLOW", "tag_über"])
def test_an_unknown_label_is_refused_with_those_there_are(label: str) -> None:
    assert refusal(labels=["flow", label]) == (
        f"metrics.labels: {label!r} is none of source, flow, deployment, work_pool, work_queue, state_name,"
        " or tag_<key> for tags such as key:value"
    )


def test_a_label_twice_is_refused() -> None:
    assert refusal(labels=["flow", "source", "flow"]) == "metrics.labels: a label is there twice"


@pytest.mark.parametrize("prefix", ["", "9lives", "my-company", "a b", "a:b"])
def test_a_prefix_that_is_no_name_is_refused(prefix: str) -> None:
    assert refusal(prefix=prefix) == f"metrics.prefix: {prefix!r} cannot begin the name of a metric"


@pytest.mark.parametrize("label", ["le", "__name__", "data-center", "1st", ""])
def test_a_static_label_that_cannot_be_one_is_refused(label: str) -> None:
    assert refusal(static_labels={label: "x"}) == f"metrics.static_labels: {label!r} cannot be the name of a label"


@pytest.mark.parametrize("which", ["duration_buckets", "queue_wait_buckets"])
@pytest.mark.parametrize("bounds", [[5, 1], [1, 1], [0, 1], [-1], [1, 2, 2.0]])
def test_buckets_that_do_not_ascend_from_above_0_are_refused(which: str, bounds: list[float]) -> None:
    said = "bounds of buckets are seconds above 0, each greater than the one before"
    assert refusal(**{which: bounds}) == f"metrics.{which}: {said}"


def test_an_inventory_that_is_read_too_often_is_refused() -> None:
    assert refusal(inventory="9s").startswith("metrics.inventory")


@pytest.mark.parametrize("window", ["59s", "soon"])
def test_a_window_that_is_too_short_or_no_duration_is_refused(window: str) -> None:
    assert refusal(windows=["1h", window]).startswith("metrics.windows.1: ")


def test_a_series_ttl_that_is_too_short_is_refused() -> None:
    assert refusal(series_ttl="59s").startswith("metrics.series_ttl: ")


def test_another_exporter_is_refused_with_the_one_there_is() -> None:
    assert refusal(compat="other") == "metrics.compat: Input should be 'prometheus-prefect-exporter'"


def test_what_is_usual() -> None:
    counting = MetricsSettings().counting()
    assert (counting.more, counting.duration_buckets) == ((), DURATION_BUCKETS)
    assert counting.queue_wait_buckets == QUEUE_WAIT_BUCKETS
    assert MetricsSettings().choices().labels == ("flow", "deployment", "work_pool")


def test_only_what_gauges_do_not_know_is_told_apart_when_counting() -> None:
    labels = ["source", "flow", "work_queue", "state_name", "tag_team"]
    metrics = loaded(labels=labels, duration_buckets=[]).metrics
    assert metrics.counting().more == ("work_queue", "state_name", "tag_team")
    assert metrics.counting().duration_buckets == ()
    assert metrics.choices().labels == tuple(labels)


def test_all_that_is_chosen_reaches_the_metrics() -> None:
    choices = loaded(prefix="acme", static_labels={"env": "prod"}, series_limit=7, series_ttl="2d").metrics.choices()
    assert (choices.prefix, dict(choices.static_labels)) == ("acme", {"env": "prod"})
    assert (choices.series_limit, choices.series_ttl) == (7, timedelta(days=2))


def test_an_inventory_can_be_switched_off_or_read_more_seldom() -> None:
    assert loaded(inventory="off").metrics.inventory == "off"
    assert loaded(inventory="10s").metrics.inventory == timedelta(seconds=10)


@pytest.mark.parametrize(
    ("window", "words"),
    [
        (timedelta(minutes=1), "1m"),
        (timedelta(seconds=90), "90s"),
        (timedelta(minutes=90), "90m"),
        (timedelta(hours=1), "1h"),
        (timedelta(hours=24), "24h"),
        (timedelta(hours=36), "36h"),
        (timedelta(days=7), "7d"),
        (timedelta(weeks=2), "14d"),
    ],
)
def test_a_window_is_named_by_the_largest_unit_that_divides_it(window: timedelta, words: str) -> None:
    assert in_words(window) == words
