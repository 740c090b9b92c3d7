"""The last hour, minute by minute: how often runs came into which state, and how long those took that ended."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from schemas import Transition
from streamer.model import Appended, Clock, Family, Net
from streamer.reports import Lately

MINUTES = 60
HOUR = timedelta(minutes=MINUTES)

BANDS = (0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400)
"""Upper bounds of run times in seconds; what took longer is in a band of its own."""


@dataclass(frozen=True, slots=True)
class Took:
    """So many runs that ended in a minute, counted from the first shown, took so long: `band` is a place in `bands`."""

    minute: int
    band: int
    runs: int


@dataclass(frozen=True, slots=True)
class ActivityView:
    """Minutes from `start` on: `states` has for each type of state how often runs came into it in each.

    `bands` are upper bounds of run times in seconds; a last band has no bound.
    """

    start: datetime
    minutes: int
    states: dict[str, list[int]]
    bands: Sequence[float]
    took: list[Took]


class Activity:
    """An observer that counts by when things occurred, in whatever order they come."""

    name = "activity"

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._moved: defaultdict[int, Counter[str]] = defaultdict(Counter)
        self._ended: defaultdict[int, Counter[int]] = defaultdict(Counter)

    def begin(self, lately: Lately) -> None:
        """Begin, or begin anew, with what has happened until now."""
        self._moved.clear()
        self._ended.clear()
        for minute, state, number in lately.moved:
            self._moved[minute][state] += number
        for minute, seconds, number in lately.ended:
            self._ended[minute][bisect_left(BANDS, seconds)] += number

    def committed(self, _source: str, _net: Net, appended: Appended) -> None:
        """Count what a commit added."""
        shown = self._shown()
        for record in appended.records:
            if isinstance(record.event, Transition) and (minute := _minute(record.event.occurred)) in shown:
                self._moved[minute][record.event.to_type.value] += 1
        for each in appended.measured:
            if each.counter.family is Family.DURATION and (minute := _minute(each.at)) in shown:
                self._ended[minute][bisect_left(BANDS, each.seconds)] += 1
        for minutes in (self._moved, self._ended):
            for old in [each for each in minutes if each < shown.start]:
                del minutes[old]

    def view(self) -> ActivityView:
        """Return the last hour."""
        shown = self._shown()
        states = {state for minute in shown for state in self._moved.get(minute, ())}
        return ActivityView(
            start=datetime.fromtimestamp(shown.start * 60, UTC),
            minutes=MINUTES,
            states={
                state: [self._moved[minute][state] if minute in self._moved else 0 for minute in shown]
                for state in sorted(states)
            },
            bands=BANDS,
            took=[
                Took(place, band, number)
                for place, minute in enumerate(shown)
                for band, number in sorted(self._ended.get(minute, {}).items())
            ],
        )

    def _shown(self) -> range:
        now = _minute(self._clock.now())
        return range(now - MINUTES + 1, now + 1)


def _minute(moment: datetime) -> int:
    return int(moment.timestamp() // 60)
