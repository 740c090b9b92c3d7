"""How many events a second go through the whole service, beside Prefect's own subscriber that does nothing with them.

Both are given events of the same kind in turns, each in a process of its own: streamer validates, commits to the disk,
counts, follows runs, and writes each event to a jsonl file that it acknowledges.
"""

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import cache
from statistics import median
from typing import NamedTuple

from benchmarks.figure import Figure
from benchmarks.turns import Turn, prefect_reading, streamer_reading

EVENTS = 20_000
WARM_UP = 1_000
TIMES = 3


class Rates(NamedTuple):
    """Events a second."""

    ours: float
    theirs: float


def measure(number: int = EVENTS) -> list[Figure]:
    """Return events a second of both, and the ratio in turns that follow each other."""
    turns = rates(number)
    ratio = median(each.theirs / each.ours for each in turns)
    return [
        Figure("events a second, Prefect's subscriber that does nothing with them", theirs(turns), "/s"),
        Figure("events a second, from the socket to the jsonl line", median(each.ours for each in turns), "/s"),
        Figure("time for an event, streamer's to Prefect's", ratio, "x", goal=1 / 3),
    ]


@cache
def rates(number: int) -> Sequence[Rates]:
    """Return those of several turns; who asks again is told the same."""
    return [Rates(_rate(streamer_reading(), number), _rate(prefect_reading(), number)) for _ in range(TIMES)]


def theirs(turns: Sequence[Rates]) -> float:
    """Return what Prefect's subscriber reads a second, in the median."""
    return median(each.theirs for each in turns)


def _rate(reading: AbstractContextManager[Turn], number: int) -> float:
    with reading as turn:
        turn(WARM_UP)
        return number / turn(number)


if __name__ == "__main__":
    for figure in measure(*map(int, sys.argv[1:])):
        print(figure.what, figure.shown, figure.goal_shown, figure.verdict, sep="  ")
