"""Google Cloud Monitoring takes what is pushed, by its rules, also after a restart."""

from collections.abc import Iterator

import pytest
from google.api_core.exceptions import ServiceUnavailable

from streamer.errors import Reject
from streamer.push.gcp import GcpExporter
from tests.push.catalogues import PROCESS_START, STORE_START, TRANSITIONS, WRITES, Registry
from tests.push.monitoring_api import CUMULATIVE, GAUGE, Key, MonitoringApi, monitoring_api

PREFIX = "custom.googleapis.com/prefect/"
LAG = "prefect_streamer_sink_lag_records"
TOOK = "prefect_streamer_sink_write_duration_seconds"


@pytest.fixture
def api() -> Iterator[MonitoringApi]:
    with monitoring_api() as api:
        yield api


@pytest.fixture
def exporter(api: MonitoringApi) -> Iterator[GcpExporter]:
    exporter = an_exporter(api)
    yield exporter
    exporter.close()


def an_exporter(api: MonitoringApi, **options: object) -> GcpExporter:
    given = {"project": "p", "endpoint": api.address, "insecure": True, **options}
    return GcpExporter(GcpExporter.Options.model_validate(given))


def key(name: str, **labels: str) -> Key:
    return PREFIX + name, frozenset(labels.items())


def written(api: MonitoringApi, name: str, **labels: str) -> list[tuple[float, float, float]]:
    """Return start, end and value of a series' points, in seconds since the process's start."""
    return [
        (
            point.interval.start_time.timestamp() - PROCESS_START if point.interval.start_time else 0.0,
            point.interval.end_time.timestamp() - PROCESS_START,
            point.value.double_value,
        )
        for point in api.points[key(name, **labels)]
    ]


def test_names_labels_kinds_and_values_are_those_of_the_catalogue(api: MonitoringApi, exporter: GcpExporter) -> None:
    registry = Registry(etl=7)
    registry.lag.labels("archive").set(2.5)
    exporter.push(registry.at(60), registry.at(1))
    assert written(api, TRANSITIONS, flow="etl", work_pool="") == [(STORE_START - PROCESS_START, 60, 7)]
    assert [value for _, _, value in written(api, LAG, sink="archive")] == [2.5]
    assert api.kinds == {PREFIX + TRANSITIONS: CUMULATIVE, PREFIX + LAG: GAUGE}


def test_a_histogram_is_a_distribution_with_its_bounds(api: MonitoringApi, exporter: GcpExporter) -> None:
    registry = Registry()
    before = registry.at(1)
    for seconds in (0.05, 0.5, 0.5, 3):
        registry.took.labels("archive").observe(seconds)
    exporter.push(registry.at(60), before)
    *_, point = api.points[key(TOOK, sink="archive")]
    found = point.value.distribution_value
    assert (found.count, found.mean, list(found.bucket_counts)) == (4, pytest.approx(4.05 / 4), [1, 2, 1])
    assert list(found.bucket_options.explicit_buckets.bounds) == [0.1, 1]


def test_the_monitored_resource_is_the_one_that_was_set(api: MonitoringApi) -> None:
    registry = Registry(etl=1)
    exporter = an_exporter(api, resource="generic_node", resource_labels={"node_id": "a"}, prefix="custom.x/")
    exporter.push(registry.at(60), registry.at(1))
    exporter.close()
    ((series,),) = [request.time_series for request in api.requests]
    assert (series.resource.type, dict(series.resource.labels)) == ("generic_node", {"project_id": "p", "node_id": "a"})
    assert series.metric.type == f"custom.x/{TRANSITIONS}"
    assert api.requests[0].name == "projects/p"


def test_many_series_are_written_two_hundred_a_request(api: MonitoringApi, exporter: GcpExporter) -> None:
    registry = Registry(**{f"f{number}": number for number in range(450)})
    exporter.push(registry.at(60), registry.at(1))
    assert [len(request.time_series) for request in api.requests] == [200, 200, 50]
    assert len(api.points) == 450


def test_a_counter_that_is_new_is_seen_to_rise_from_0(api: MonitoringApi, exporter: GcpExporter) -> None:
    registry = Registry(etl=7)
    at_start = registry.at(1)
    registry.writes.labels("archive").inc(3)
    exporter.push(registry.at(60), at_start)
    registry.writes.labels("archive").inc()
    exporter.push(registry.at(120), registry.at(60))
    assert written(api, WRITES, sink="archive") == [(0, 1, 0), (0, 60, 3), (0, 120, 4)]


def test_after_a_restart_the_stores_counters_go_on_and_the_process_s_begin_again(
    api: MonitoringApi, exporter: GcpExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Registry(etl=7)
    first.writes.labels("archive").inc(3)
    exporter.push(first.at(60), first.at(1))
    monkeypatch.setattr("tests.push.catalogues.PROCESS_START", PROCESS_START + 100)
    second = Registry(etl=9)
    at_start = second.at(1)
    second.writes.labels("archive").inc()
    exporter.push(second.at(60), at_start)
    since = STORE_START - PROCESS_START
    assert written(api, TRANSITIONS, flow="etl", work_pool="") == [(since, 60, 7), (since, 160, 9)]
    assert written(api, WRITES, sink="archive") == [(0, 60, 3), (100, 101, 0), (100, 160, 1)]


def test_what_the_api_refuses_is_said_and_the_rest_is_written(api: MonitoringApi, exporter: GcpExporter) -> None:
    registry = Registry(**{f"f{number}": 1 for number in range(300)})
    api.kinds[PREFIX + LAG] = CUMULATIVE
    registry.lag.labels("archive").set(1)
    with pytest.raises(Reject, match="another kind"):
        exporter.push(registry.at(60), registry.at(1))
    assert sum(bool(points) for points in api.points.values()) == 300


def test_zeros_that_were_written_by_a_push_that_failed_later_do_no_harm(
    api: MonitoringApi, exporter: GcpExporter
) -> None:
    registry = Registry(etl=7)
    at_start = registry.at(1)
    registry.writes.labels("archive").inc()
    exporter.push(registry.at(60), at_start)
    exporter.push(registry.at(120), at_start)
    assert [end for _, end, _ in written(api, WRITES, sink="archive")] == [1, 60, 120]


def test_a_service_that_cannot_be_had_ends_the_push_at_once(api: MonitoringApi, exporter: GcpExporter) -> None:
    registry = Registry(**{f"f{number}": number for number in range(450)})
    api.down = True
    with pytest.raises(ServiceUnavailable, match="try later"):
        exporter.push(registry.at(60), registry.at(1))
    assert len(api.requests) == 1


def test_a_label_longer_than_the_api_takes_is_cut(api: MonitoringApi, exporter: GcpExporter) -> None:
    registry = Registry(**{"x" * 2000: 1})
    exporter.push(registry.at(60), registry.at(1))
    assert written(api, TRANSITIONS, flow="x" * 1024, work_pool="")


def test_nothing_is_sent_any_more_after_a_close(api: MonitoringApi, exporter: GcpExporter) -> None:
    registry = Registry(etl=1)
    exporter.push(registry.at(60), registry.at(1))
    exporter.close()
    with pytest.raises(ValueError, match="closed channel"):
        exporter.push(registry.at(120), registry.at(60))
    assert len(api.requests) == 1
