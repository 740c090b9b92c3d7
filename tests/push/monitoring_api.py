"""A gRPC server of Google's metric service that holds writes to the API's rules, and writes what keeps to them."""

from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from google.cloud.monitoring_v3 import CreateTimeSeriesRequest

GAUGE, CUMULATIVE = 1, 3
LEAST_SECONDS = 5.0

Key = tuple[str, frozenset[tuple[str, str]]]


class MonitoringApi:
    """What was written, by metric type and labels; `down` answers that the service cannot be had."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.points: dict[Key, list[Any]] = defaultdict(list)
        self.kinds: dict[str, int] = {}
        self.down = False
        self.address = ""

    def create(self, request: Any, context: Any) -> bytes:
        self.requests.append(request)
        if self.down:
            context.abort(grpc.StatusCode.UNAVAILABLE, "try later")
        if len(request.time_series) > 200 or len({_key(each) for each in request.time_series}) < len(
            request.time_series
        ):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "too many series, or one of them twice")
        faults = [fault for each in request.time_series if (fault := self._write(each))]
        if faults:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "; ".join(faults))
        return b""

    def _write(self, series: Any) -> str:
        (point,) = series.points
        written = self.points[_key(series)]
        fault = self._fault(series, point.interval, written[-1].interval if written else None)
        if not fault:
            self.kinds[series.metric.type] = series.metric_kind
            written.append(point)
        return fault

    def _fault(self, series: Any, interval: Any, last: Any) -> str:
        start, end, kind = _seconds(interval.start_time), _seconds(interval.end_time), series.metric_kind
        if self.kinds.get(series.metric.type, kind) != kind:
            return "another kind than before"
        if kind == GAUGE and start not in (0.0, end):
            return "a gauge has no start"
        if kind == CUMULATIVE and start >= end:
            return "start must be before the end"
        if last and end - _seconds(last.end_time) < LEAST_SECONDS:
            return "written more often than the sampling period, or out of order"
        if last and kind == CUMULATIVE and not _goes_on(start, last):
            return "start older than that of the newest point, or within it"
        if any(len(text) > 1024 for text in series.metric.labels.values()):
            return "a label is too long"
        return _fault_of(series.points[0].value.distribution_value)


def _goes_on(start: float, last: Any) -> bool:
    return start == _seconds(last.start_time) or start > _seconds(last.end_time)


def _seconds(time: Any) -> float:
    return float(time.timestamp()) if time else 0.0


def _fault_of(distribution: Any) -> str:
    bounds = list(distribution.bucket_options.explicit_buckets.bounds)
    if distribution.count != sum(distribution.bucket_counts):
        return "buckets that do not add up"
    if bounds != sorted(set(bounds)) or len(distribution.bucket_counts) > len(bounds) + 1:
        return "buckets without bounds"
    return ""


def _key(series: Any) -> Key:
    return series.metric.type, frozenset(series.metric.labels.items())


@contextmanager
def monitoring_api() -> Iterator[MonitoringApi]:
    """Serve it on a free port."""
    api, pool = MonitoringApi(), ThreadPoolExecutor(2)
    server = grpc.server(pool)
    create = grpc.unary_unary_rpc_method_handler(
        api.create, request_deserializer=CreateTimeSeriesRequest.deserialize, response_serializer=bytes
    )
    service = grpc.method_handlers_generic_handler("google.monitoring.v3.MetricService", {"CreateTimeSeries": create})
    server.add_generic_rpc_handlers((service,))
    api.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield api
    finally:
        server.stop(0).wait()
        pool.shutdown()
