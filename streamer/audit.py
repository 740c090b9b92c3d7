"""Pure: which stretches of time are compared with the server, when, and what a difference means.

A window is counted on the server and in our ledger again and again as it ages, since the server writes up to 5 s late
and clients may send hours late. Times are microseconds since 1970, so that bounds are the same on both sides.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE


def with_width(age: int) -> tuple[int, int]:
    """Return an age and how wide its windows are: as wide as old, within reason."""
    return age, min(max(age, 15 * SECOND), HOUR)


AGES = tuple(map(with_width, (10 * SECOND, MINUTE, 15 * MINUTE, HOUR, 24 * HOUR)))
"""How old a window is when it is compared, and how wide it is then."""

SPLIT_ABOVE = 500
"""A window with more events than this is compared in halves, unless most of it is missing."""

READ_AT_MOST = 10_000
"""A window with more events than this is not read in one go, unless it is a second: the watermark would not move for
too long.
"""


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time: from `start` up to, but not including, `end`."""

    start: int
    end: int

    @property
    def last(self) -> int:
        """Return the last microsecond in it, for the server's inclusive bounds."""
        return self.end - 1

    def halves(self) -> "tuple[Window, Window]":
        """Return the two halves."""
        middle = (self.start + self.end) // 2
        return Window(self.start, middle), Window(middle, self.end)


class Finding(StrEnum):
    """What a comparison leads to."""

    EQUAL = "equal"
    SPLIT = "split"
    READ = "read"


def judge(window: Window, *, theirs: int, ours: int) -> Finding:
    """Return what to do about a window with so many events on the server and with us.

    Most of it missing: read it. A little of much: halve it, and find where. Fewer there than here: read it too, to
    learn which of ours the server does not have.
    """
    if theirs == ours:
        return Finding.EQUAL
    missing = abs(theirs - ours)
    much = theirs > READ_AT_MOST or (theirs > SPLIT_ABOVE and missing < theirs / 2)
    return Finding.SPLIT if much and window.end - window.start > SECOND else Finding.READ


@dataclass(slots=True)
class Track:
    """The windows of one age, one after the other; `position` is where the next begins."""

    age: int
    width: int
    position: int

    def due(self, now: int) -> Window | None:
        """Return the next window if it is old enough: as wide as what has fallen due, so that a backlog is one."""
        widths = (now - self.age - self.position) // self.width
        return Window(self.position, self.position + widths * self.width) if widths > 0 else None

    def next_due(self) -> int:
        """Return when the next window will be old enough."""
        return self.position + self.width + self.age


def tracks(*, watermark: int, floor: int, ages: Iterable[tuple[int, int]] = AGES) -> list[Track]:
    """Return a track for each age with its width, youngest first, as a start finds them.

    The first goes on at the watermark. The others go back an hour further than they had come, since nobody knows how
    far the process before us was; none goes below `floor`, before which we never meant to read.
    """
    first, *others = sorted(ages)
    yet = [Track(age, width, max(floor, watermark - age - HOUR)) for age, width in others]
    return [Track(*first, position=watermark), *yet]
