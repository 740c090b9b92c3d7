"""What runs have done over a time, as types: by buckets, as Prefect's own history has them, and in sum for windows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

MOST_BUCKETS = 500
"""The most that Prefect gives."""


@dataclass(frozen=True, slots=True)
class StateCount:
    """The runs of a bucket in one state; times are sums in seconds."""

    state_type: str
    state_name: str
    count_runs: int
    sum_estimated_run_time: float
    sum_estimated_lateness: float


@dataclass(frozen=True, slots=True)
class Bucket:
    """The runs that were due from a start up to, but not including, an end."""

    interval_start: datetime
    interval_end: datetime
    states: Sequence[StateCount]


@dataclass(frozen=True, slots=True)
class Span:
    """Which buckets are asked for: `number` of them from a start, each so long; of some flows only, by name."""

    start: datetime
    interval: timedelta
    number: int
    flows: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Statistics:
    """How long something took: seconds over all runs, the middle one, the one that 5 % exceed, and the longest."""

    avg: float
    p50: float
    p95: float
    max: float


@dataclass(frozen=True, slots=True)
class Window:
    """The runs of a stretch of time, by flow id: how many are in which state, how long they ran, how late they were."""

    states: dict[tuple[str, str], int]
    run_times: dict[str, Statistics]
    lateness: dict[str, Statistics]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the runs of one source, flow, deployment and work pool ended that ended in one state.

    `failures` are those of them that failed or crashed after the last of all these ended as completed.
    """

    group: tuple[str, str, str, str]
    state: str
    last: datetime
    failures: int


@dataclass(frozen=True, slots=True)
class Lately:
    """How often runs came into which type of state, and how many that ended took how many seconds, by minute.

    Minutes are counted since 1970.
    """

    moved: Sequence[tuple[int, str, int]]
    ended: Sequence[tuple[int, int, int]]


@dataclass(frozen=True, slots=True)
class Oddities:
    """How many events the websocket did not bring but REST did, and how many frames are in quarantine."""

    recovered: int
    quarantined: int


def span_until(end: datetime, *, since: timedelta, interval: timedelta, flows: Sequence[str] = ()) -> Span:
    """Return the buckets of the time before an end; raise `ValueError` if they are none, or more than Prefect gives."""
    if interval < timedelta(seconds=1) or since <= timedelta(0):
        raise ValueError("an interval is at least a second, and the time to look back more than nothing")
    number = -(-since // interval)
    if number > MOST_BUCKETS:
        raise ValueError(f"these are {number} intervals, and the most is {MOST_BUCKETS}: choose longer ones")
    try:
        return Span(end - since, interval, number, tuple(flows))
    except OverflowError:
        raise ValueError("the time to look back is before the year 1: choose a shorter one") from None
