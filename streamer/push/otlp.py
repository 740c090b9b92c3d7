"""`otlp` — OpenTelemetry's protocol over gRPC, such as to a collector.

Totals are cumulative, and start when they began, so that after a restart the store's counters go on. What the
environment says to OpenTelemetry (`OTEL_EXPORTER_OTLP_…`, `OTEL_RESOURCE_ATTRIBUTES`) holds where no option says more.
"""

from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar

from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import export as otel
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from streamer import __version__
from streamer.errors import Retry
from streamer.push.library_log import overheard
from streamer.push.points import Distribution, Gauge, Series, Snapshot, Sum, Value, births

POINTS_A_REQUEST = 5_000
"""A collector takes 4 MiB a request unless it is told otherwise."""
EXPORT_SECONDS = 10.0

_CUMULATIVE = otel.AggregationTemporality.CUMULATIVE
_UNKNOWN: Any = None


class OtlpExporter:
    """Send all series to a collector."""

    spacing: ClassVar[float] = 0.0

    class Options(BaseModel):
        """`endpoint`, such as `http://host:4317`; `insecure` for no TLS; `headers`; attributes of the `resource`."""

        model_config = ConfigDict(extra="forbid", frozen=True)

        endpoint: str | None = None
        insecure: bool | None = None
        headers: dict[str, SecretStr] = Field(default_factory=dict)
        resource: dict[str, str] = Field(default_factory=lambda: {"service.name": "prefect-streamer"})

    def __init__(self, options: Options) -> None:
        self._options = options
        self._resource = Resource.create(dict(options.resource))

    def push(self, now: Snapshot, before: Snapshot) -> None:
        """Send the zeros of what is new, and everything; raise `Retry` if the collector does not take it."""
        with overheard("opentelemetry.exporter.otlp.proto.grpc.exporter") as said:
            if self._exporter.export(self._data(now, before)) is not otel.MetricExportResult.SUCCESS:
                raise Retry(said.last or "the collector did not take it")

    def close(self) -> None:
        """Close the connection."""
        if "_exporter" in self.__dict__:
            self._exporter.shutdown()

    @cached_property
    def _exporter(self) -> OTLPMetricExporter:
        options = self._options
        return OTLPMetricExporter(
            endpoint=options.endpoint,
            insecure=options.insecure,
            headers={name.lower(): value.get_secret_value() for name, value in options.headers.items()},
            timeout=EXPORT_SECONDS,
            max_export_batch_size=POINTS_A_REQUEST,
        )

    def _data(self, now: Snapshot, before: Snapshot) -> otel.MetricsData:
        points: dict[str, list[Any]] = defaultdict(list)
        for values, at in ((births(now, before), before.at), (now.values, now.at)):
            for series, value in values.items():
                points[series.name].append(_point(series, value, now.begun.get(series.name, at), at))
        metrics = [otel.Metric(name, now.meanings[name], "", _kind(name, now, those)) for name, those in points.items()]
        scope = otel.ScopeMetrics(InstrumentationScope("streamer", __version__), metrics, "")
        return otel.MetricsData([otel.ResourceMetrics(self._resource, [scope], "")])


def _kind(name: str, now: Snapshot, points: Sequence[Any]) -> otel.Sum | otel.Gauge | otel.Histogram:
    if name not in now.begun:
        return otel.Gauge(points)
    if isinstance(points[0], otel.HistogramDataPoint):
        return otel.Histogram(points, _CUMULATIVE)
    return otel.Sum(points, _CUMULATIVE, is_monotonic=True)


def _point(series: Series, value: Value, begun: float, at: float) -> otel.NumberDataPoint | otel.HistogramDataPoint:
    attributes, start, end = dict(series.labels), _nanoseconds(begun), _nanoseconds(at)
    match value:
        case Gauge(number) | Sum(number):
            return otel.NumberDataPoint(attributes, start, end, number)
        case Distribution(bounds, counts, total):
            return otel.HistogramDataPoint(
                attributes, start, end, value.count, total, counts, bounds, min=_UNKNOWN, max=_UNKNOWN
            )


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1_000_000) * 1_000
