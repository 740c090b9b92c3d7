"""Pure: times of a week in which nobody is told of anything new."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo
from typing import Any

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_FORM = re.compile(
    r"(?:(?P<first>[A-Z][a-z]{2})(?:-(?P<last>[A-Z][a-z]{2}))?)?\s*(?:(?P<start>[\d:]+)-(?P<end>[\d:]+))?"
)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Quiet:
    """From a time of day on some days of the week up to another time, which may be of the day after; 0 is Monday."""

    days: frozenset[int] = frozenset(range(7))
    start: time = time()
    end: time = time()

    def end_of(self, local: datetime) -> datetime | None:
        """Return when the quiet time ends that this moment is in; None if it is in none."""
        for day in (local - _DAY, local):
            begin = datetime.combine(day.date(), self.start, local.tzinfo)
            end = datetime.combine(
                day.date() + (_DAY if self.end <= self.start else timedelta()), self.end, local.tzinfo
            )
            if begin.weekday() in self.days and begin <= local < end:
                return end
        return None


def read_quiet(value: Any) -> Any:
    """Read `22:00-06:00`, `Sat-Sun`, or `Mon-Fri 18:00-08:00`."""
    if not isinstance(value, str):
        return value
    match = _FORM.fullmatch(value.strip())
    if not value.strip() or not match:
        raise ValueError(f"{value!r} is no quiet time such as 22:00-06:00, Sat-Sun or Mon-Fri 18:00-08:00")
    first, last = (match[name] for name in ("first", "last"))
    return Quiet(_days(first, last or first), _time(match["start"]), _time(match["end"]))


def quiet_until(times: Sequence[Quiet], moment: datetime, zone: tzinfo) -> datetime | None:
    """Return when it is quiet no more, which is after `moment`; None if it is not quiet now.

    What never ends ends in a week. A time that the clocks show twice, or leave out, is over when it is so for sure.
    """
    local = begin = moment.astimezone(zone)
    while local - begin < 7 * _DAY and (ends := [end for each in times if (end := each.end_of(local))]):
        local = max(ends)
    if local == begin:
        return None
    return max((local.replace(fold=fold) for fold in (0, 1)), key=datetime.timestamp)


def _days(first: str | None, last: str | None) -> frozenset[int]:
    if first is None or last is None:
        return frozenset(range(7))
    if unknown := {first, last} - set(DAYS):
        raise ValueError(f"{unknown.pop()!r} is no day: they are {', '.join(DAYS)}")
    start, end = DAYS.index(first), DAYS.index(last)
    return frozenset(day % 7 for day in range(start, end + (7 if end < start else 0) + 1))


def _time(text: str | None) -> time:
    return time.fromisoformat(text) if text else time()
