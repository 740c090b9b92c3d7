"""A collector is sent the catalogue as sums, gauges and histograms of OpenTelemetry."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import (
    MetricsServiceServicer,
    add_MetricsServiceServicer_to_server,
)

from streamer.errors import Retry
from streamer.push import otlp
from streamer.push.otlp import OtlpExporter
from tests.push.catalogues import PROCESS_START, STORE_START, TRANSITIONS, WRITES, Registry

LAG = "prefect_streamer_sink_lag_records"
TOOK = "prefect_streamer_sink_write_duration_seconds"
CUMULATIVE = 2


class Collector(MetricsServiceServicer):
    """Keep requests and their headers; answer with an error if there is one to `refuse` with."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.headers: dict[str, Any] = {}
        self.refuse: grpc.StatusCode | None = None
        self.address = ""

    def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        self.headers = dict(context.invocation_metadata())
        if self.refuse:
            context.abort(self.refuse, "not now")
        self.requests.append(request)
        return ExportMetricsServiceResponse()

    def metrics(self) -> dict[str, Any]:
        """Return the metrics of the newest request by name."""
        (resource,) = self.requests[-1].resource_metrics
        (scope,) = resource.scope_metrics
        return {each.name: each for each in scope.metrics}


@contextmanager
def collecting() -> Iterator[Collector]:
    collector, pool = Collector(), ThreadPoolExecutor(2)
    server = grpc.server(pool)
    add_MetricsServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]  # it is generated
    collector.address = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield collector
    finally:
        server.stop(0).wait()
        pool.shutdown()


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture
def exporter(collector: Collector) -> Iterator[OtlpExporter]:
    options = {"endpoint": collector.address, "headers": {"Api-Key": "s3cret"}, "resource": {"service.name": "us"}}
    exporter = OtlpExporter(OtlpExporter.Options.model_validate(options))
    yield exporter
    exporter.close()


def attributes(point: Any) -> dict[str, str]:
    return {each.key: each.value.string_value for each in point.attributes}


def times(points: Any) -> list[tuple[float, float, float]]:
    """Return start, end and value of points, in seconds since the process's start."""
    second, start = 1_000_000_000, PROCESS_START
    return [
        (each.start_time_unix_nano / second - start, each.time_unix_nano / second - start, each.as_double)
        for each in points
    ]


def test_a_counter_is_a_monotonic_cumulative_sum_that_began_with_the_store(
    collector: Collector, exporter: OtlpExporter
) -> None:
    registry = Registry(etl=7)
    exporter.push(registry.at(60), registry.at(1))
    found = collector.metrics()[TRANSITIONS]
    assert (found.sum.is_monotonic, found.sum.aggregation_temporality) == (True, CUMULATIVE)
    assert times(found.sum.data_points) == [(STORE_START - PROCESS_START, 60, 7)]
    assert attributes(found.sum.data_points[0]) == {"flow": "etl", "work_pool": ""}
    assert found.description == "Transitions."


def test_a_counter_that_is_new_is_seen_to_rise_from_0(collector: Collector, exporter: OtlpExporter) -> None:
    registry = Registry()
    before = registry.at(1)
    registry.writes.labels("archive").inc(3)
    exporter.push(registry.at(60), before)
    assert times(collector.metrics()[WRITES].sum.data_points) == [(0, 1, 0), (0, 60, 3)]


def test_a_gauge_is_a_gauge(collector: Collector, exporter: OtlpExporter) -> None:
    registry = Registry()
    registry.lag.labels("archive").set(2.5)
    exporter.push(registry.at(60), registry.at(1))
    (point,) = collector.metrics()[LAG].gauge.data_points
    assert (point.as_double, attributes(point)) == (2.5, {"sink": "archive"})


def test_a_histogram_has_its_bounds(collector: Collector, exporter: OtlpExporter) -> None:
    registry = Registry()
    registry.took.labels("archive").observe(0.05)
    before = registry.at(1)
    for seconds in (0.5, 0.5, 3):
        registry.took.labels("archive").observe(seconds)
    exporter.push(registry.at(60), before)
    found = collector.metrics()[TOOK].histogram
    *_, point = found.data_points
    assert (point.count, point.sum, list(point.bucket_counts)) == (4, 4.05, [1, 2, 1])
    assert (list(point.explicit_bounds), found.aggregation_temporality) == ([0.1, 1], CUMULATIVE)
    assert not point.HasField("min")
    assert not point.HasField("max")


def test_the_resource_and_the_headers_are_those_that_were_set(collector: Collector, exporter: OtlpExporter) -> None:
    registry = Registry(etl=1)
    exporter.push(registry.at(60), registry.at(1))
    (resource,) = collector.requests[0].resource_metrics
    assert attributes(resource.resource)["service.name"] == "us"
    assert resource.scope_metrics[0].scope.name == "streamer"
    assert collector.headers["api-key"] == "s3cret"


def test_many_points_are_sent_in_requests_that_a_collector_takes(
    collector: Collector, exporter: OtlpExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(otlp, "POINTS_A_REQUEST", 200)
    registry = Registry(**{f"f{number}": number for number in range(450)})
    exporter.push(registry.at(60), registry.at(1))
    sizes = [
        len(request.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points) for request in collector.requests
    ]
    assert sizes == [200, 200, 50]


def test_a_collector_that_refuses_fails_the_push_with_its_reason_and_no_line_in_the_log(
    collector: Collector, exporter: OtlpExporter, caplog: pytest.LogCaptureFixture
) -> None:
    registry = Registry(etl=1)
    collector.refuse = grpc.StatusCode.PERMISSION_DENIED
    with pytest.raises(Retry, match=r"PERMISSION_DENIED.*not now"):
        exporter.push(registry.at(60), registry.at(1))
    assert caplog.records == []
    collector.refuse = None
    exporter.push(registry.at(120), registry.at(1))
    assert len(collector.requests) == 1


def test_nothing_is_sent_any_more_after_a_close(collector: Collector, exporter: OtlpExporter) -> None:
    registry = Registry(etl=1)
    exporter.push(registry.at(60), registry.at(1))
    exporter.close()
    with pytest.raises(Retry, match="already shutdown"):
        exporter.push(registry.at(120), registry.at(60))
    assert len(collector.requests) == 1
