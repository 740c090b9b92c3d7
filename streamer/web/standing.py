"""Pure: whether all is well, in words, and what is wrong if it is not."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from streamer.durations import in_words
from streamer.reports import Oddities

LATE = timedelta(seconds=30)
"""A sink that is as far behind is worth a word."""

_RUNS = {
    "zombie": ("1 run is a zombie", "runs are zombies"),
    "suspect": ("1 run is suspect", "runs are suspect"),
    "overdue": ("1 run is overdue", "runs are overdue"),
}

_HOW = {
    "live": "connected and caught up",
    "rest": "read by REST, since there is no websocket",
    "store": "standing by for another replica, whose store is followed",
}


class Level(StrEnum):
    """How much is wrong: with the runs (`attention`), or with the knowledge of them (`wrong`)."""

    WELL = "well"
    ATTENTION = "attention"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that is wrong."""

    level: Level
    text: str


@dataclass(frozen=True, slots=True)
class StandingView:
    """Whether all is well: a sentence, and what there is to say point by point.

    `mode` is `live`, or `rest` while there is no websocket; a replica that stands by has `store`. `lag` is by how many
    seconds the newest event came late that the websocket brought. `recovered` are events that only REST brought,
    `quarantined` the frames in quarantine.
    """

    level: Level
    sentence: str
    points: Sequence[Point]
    version: str
    mode: str
    lag: float | None
    watermark: datetime | None
    recovered: int
    quarantined: int


@dataclass(frozen=True, slots=True)
class SinkFact:
    """How a sink is: why it takes nothing, and since when something waits for it."""

    name: str
    trouble: str | None
    pending_since: datetime | None


@dataclass(frozen=True, slots=True)
class Facts:
    """What is true now: what is `missing` for the service to be ready, and the rest that may be wrong."""

    now: datetime
    version: str
    mode: str
    missing: Sequence[str]
    sinks: Sequence[SinkFact]
    firing: Sequence[str]
    by_status: Mapping[str, int]
    lag: float | None
    watermark: datetime | None
    oddities: Oddities


def standing(facts: Facts) -> StandingView:
    """Return how things stand; the worst comes first."""
    points = sorted(_points(facts), key=lambda point: point.level is not Level.WRONG)
    level = points[0].level if points else Level.WELL
    return StandingView(
        level=level,
        sentence=_sentence(level, points, facts),
        points=points,
        version=facts.version,
        mode=facts.mode,
        lag=facts.lag,
        watermark=facts.watermark,
        recovered=facts.oddities.recovered,
        quarantined=facts.oddities.quarantined,
    )


def _points(facts: Facts) -> Iterator[Point]:
    for missing in facts.missing:
        yield Point(Level.WRONG, missing)
    for sink in facts.sinks:
        if sink.trouble:
            yield Point(Level.WRONG, f"sink {sink.name} takes nothing: {sink.trouble}")
        elif sink.pending_since and (late := facts.now - sink.pending_since) >= LATE:
            yield Point(Level.WRONG, f"sink {sink.name} is {_rounded(late)} behind")
    for status, (one, many) in _RUNS.items():
        if number := facts.by_status.get(status, 0):
            yield Point(Level.ATTENTION, one if number == 1 else f"{number:,} {many}")
    if facts.firing:
        rules = ", ".join(sorted(set(facts.firing))[:3])
        number = len(facts.firing)
        yield Point(Level.ATTENTION, f"{number:,} alerts fire: {rules}" if number > 1 else f"an alert fires: {rules}")
    if number := facts.oddities.quarantined:
        frames = "1 frame is" if number == 1 else f"{number:,} frames are"
        yield Point(Level.ATTENTION, f"{frames} in quarantine")


def _sentence(level: Level, points: Sequence[Point], facts: Facts) -> str:
    if level is Level.WELL:
        how = _HOW[facts.mode]
        sinks = ", every sink has what there is" if facts.sinks else ""
        return f"All is well: {how}{sinks}, nothing fires."
    said = points[0].text + (f", and {len(points) - 1} more" if len(points) > 1 else "")
    return f"Not all is well: {said}." if level is Level.WRONG else f"Something wants a look: {said}."


def _rounded(late: timedelta) -> str:
    seconds = late.total_seconds()
    unit = 1 if seconds < 120 else 60 if seconds < 7200 else 3600
    return in_words(timedelta(seconds=seconds // unit * unit))
