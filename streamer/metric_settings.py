"""The settings of `[metrics]`."""

import re
from datetime import timedelta
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from streamer.counting import DURATION_BUCKETS, QUEUE_WAIT_BUCKETS, STATE_NAME, TAG, WORK_QUEUE, Counting
from streamer.durations import Duration
from streamer.metrics.counters import SERIES_LIMIT, SERIES_TTL, Choices
from streamer.metrics.dressing import USUAL_PREFIX
from streamer.metrics.labels import OF_EVERY_RUN, USUAL

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_KNOWN = (*OF_EVERY_RUN, WORK_QUEUE, STATE_NAME)


def _labels(chosen: tuple[str, ...]) -> tuple[str, ...]:
    for label in chosen:
        if not _NAME.fullmatch(label) or not (label in _KNOWN or (label.startswith(TAG) and label != TAG)):
            raise ValueError(f"{label!r} is none of {', '.join(_KNOWN)}, or {TAG}<key> for tags such as key:value")
    if len(set(chosen)) < len(chosen):
        raise ValueError("a label is there twice")
    return chosen


def _static(labels: dict[str, str]) -> dict[str, str]:
    for label in labels:
        if not _NAME.fullmatch(label) or label.startswith("__") or label == "le":
            raise ValueError(f"{label!r} cannot be the name of a label")
    return labels


def _buckets(bounds: tuple[float, ...]) -> tuple[float, ...]:
    if any(before >= after for before, after in pairwise((0.0, *bounds))):
        raise ValueError("bounds of buckets are seconds above 0, each greater than the one before")
    return bounds


def _prefix(prefix: str) -> str:
    if not _NAME.fullmatch(prefix):
        raise ValueError(f"{prefix!r} cannot begin the name of a metric")
    return prefix


Buckets = Annotated[tuple[float, ...], AfterValidator(_buckets)]


class MetricsSettings(BaseModel):
    """What is shown of what happened, and how; an empty list of buckets switches its histogram off."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    labels: Annotated[tuple[str, ...], AfterValidator(_labels)] = USUAL
    static_labels: Annotated[dict[str, str], AfterValidator(_static)] = Field(default_factory=dict)
    prefix: Annotated[str, AfterValidator(_prefix)] = USUAL_PREFIX
    series_limit: int = Field(SERIES_LIMIT, gt=0)
    series_ttl: Annotated[Duration, Field(ge=timedelta(minutes=1))] = SERIES_TTL
    duration_buckets: Buckets = DURATION_BUCKETS
    queue_wait_buckets: Buckets = QUEUE_WAIT_BUCKETS
    windows: tuple[Annotated[Duration, Field(ge=timedelta(minutes=1))], ...] = (
        timedelta(hours=1),
        timedelta(hours=24),
        timedelta(days=7),
    )
    inventory: Annotated[Duration, Field(ge=timedelta(seconds=10))] | Literal["off"] = timedelta(minutes=2)
    compat: Literal["prometheus-prefect-exporter"] | None = None

    def counting(self) -> Counting:
        """Return what of it must be told apart when events are counted."""
        more = tuple(each for each in self.labels if each not in OF_EVERY_RUN)
        return Counting(more, self.duration_buckets, self.queue_wait_buckets)

    def choices(self) -> Choices:
        """Return it as the metrics take it."""
        return Choices(
            self.labels, self.static_labels, self.prefix, self.series_limit, self.series_ttl, self.counting()
        )
