"""`gcp` — Google Cloud Monitoring, as custom metrics.

What the API asks for (https://cloud.google.com/monitoring/quotas and its TimeInterval): at most 200 series a request,
each once; the ends of a series' points 5 s apart; a total's start before its end, the same in all its points, and moved
only when it begins again. That start is when the total began, so that after a restart the store's counters go on.
"""

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any, ClassVar

import grpc
from google.api_core.exceptions import InvalidArgument
from google.cloud.monitoring_v3 import MetricServiceClient, TimeSeries
from google.cloud.monitoring_v3.services.metric_service.transports import MetricServiceGrpcTransport
from pydantic import BaseModel, ConfigDict, Field

from streamer.errors import Reject
from streamer.push.points import Distribution, Gauge, Series, Snapshot, Sum, Value, births

SERIES_A_REQUEST = 200
LONGEST_LABEL = 1024
REQUEST_SECONDS = 10.0

_GAUGE, _CUMULATIVE = 1, 3
_Series: Any = TimeSeries.pb()  # the message below the library's own, in a third of the time


class GcpExporter:
    """Write all series to a Google Cloud project; credentials are found as Google's libraries find them."""

    spacing: ClassVar[float] = 5.0

    class Options(BaseModel):
        """`project`; `prefix` of types; the monitored `resource`, its labels; `endpoint`, `insecure` for a fake one."""

        model_config = ConfigDict(extra="forbid", frozen=True)

        project: str = Field(min_length=1)
        prefix: str = "custom.googleapis.com/prefect/"
        resource: str = "global"
        resource_labels: dict[str, str] = Field(default_factory=dict)
        endpoint: str | None = None
        insecure: bool = False

    def __init__(self, options: Options) -> None:
        self._options = options
        labels = {"project_id": options.project, **options.resource_labels}
        self._resource = {"type": options.resource, "labels": labels}

    def push(self, now: Snapshot, before: Snapshot) -> None:
        """Write the zeros of what is new, then everything; raise `Reject` if some of it is refused for good."""
        self._write(self._series(births(now, before).items(), now, at=before.at))  # seen already: not needed again
        if refused := self._write(self._series(now.values.items(), now, at=now.at)):
            raise Reject(f"{len(refused)} requests were refused in part, first: {refused[0]}")

    def close(self) -> None:
        """Close the connection."""
        if "_client" in self.__dict__:
            self._client.transport.close()  # type: ignore[no-untyped-call]

    @cached_property
    def _client(self) -> MetricServiceClient:
        endpoint = self._options.endpoint
        if endpoint and self._options.insecure:
            transport = MetricServiceGrpcTransport(channel=grpc.insecure_channel(endpoint))
            return MetricServiceClient(transport=transport)
        return MetricServiceClient(client_options={"api_endpoint": endpoint} if endpoint else None)

    def _write(self, series: list[Any]) -> list[str]:
        """Write as many requests as it takes; return what was said against some: the others' series are written."""
        refused = []
        name = f"projects/{self._options.project}"
        for first in range(0, len(series), SERIES_A_REQUEST):
            try:
                some = series[first : first + SERIES_A_REQUEST]
                self._client.create_time_series(name=name, time_series=some, timeout=REQUEST_SECONDS)
            except InvalidArgument as error:
                refused.append(str(error))
        return refused

    def _series(self, values: Iterable[tuple[Series, Value]], now: Snapshot, *, at: float) -> list[Any]:
        return [self._one(series, value, now.begun.get(series.name), at) for series, value in values]

    def _one(self, series: Series, value: Value, begun: float | None, at: float) -> Any:
        labels = {name: text[:LONGEST_LABEL] for name, text in series.labels}
        interval = {"end_time": _time(at)} | ({} if begun is None else {"start_time": _time(begun)})
        return _Series(
            metric={"type": self._options.prefix + series.name, "labels": labels},
            resource=self._resource,
            metric_kind=_GAUGE if begun is None else _CUMULATIVE,
            points=[{"interval": interval, "value": dict(_typed(value))}],
        )


def _time(seconds: float) -> dict[str, int]:
    whole, micros = divmod(round(seconds * 1_000_000), 1_000_000)
    return {"seconds": whole, "nanos": micros * 1_000}


def _typed(value: Value) -> Iterator[tuple[str, Any]]:
    match value:
        case Gauge(number) | Sum(number):
            yield "double_value", number
        case Distribution(bounds, counts, total):
            distribution = {"count": value.count, "bucket_counts": counts}
            distribution["mean"] = total / value.count if value.count else 0.0
            distribution["bucket_options"] = {"explicit_buckets": {"bounds": bounds}}
            yield "distribution_value", distribution
