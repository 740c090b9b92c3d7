"""Pure: how long a run waited for its start, and how long it took; each is measured once both ends are known.

A run takes from when it first ran until it ends. It waits from when it was due, which the server alone knows, until it
first ran. Whoever asks has seen to it that nothing is missing in between.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

from schemas import StateType
from streamer.model import Family, RunState


class Finish(NamedTuple):
    """When a run came from a state that is not terminal into one that is, and which."""

    at: datetime
    state: StateType


class Measure(NamedTuple):
    """How long it took, until when, and what a histogram tells apart."""

    family: Family
    seconds: float
    until: datetime
    labels: tuple[str, ...] = ()


def is_open(run: RunState) -> bool:
    """Tell whether something of a run can be measured now."""
    return bool(run.started_at and ((run.due and not run.waited) or (run.ended_at and not run.lasted)))


def measures(run: RunState, finishes: Iterable[Finish] = ()) -> Iterator[Measure]:
    """Yield what was not measured yet; `finishes` are those that have just come, or could not be measured before."""
    if run.started_at is None:
        return
    if run.due and not run.waited:
        wait = max(0.0, (run.started_at - run.due).total_seconds())
        yield Measure(Family.QUEUE_WAIT, wait, run.started_at)
    told = {finish.at: finish.state for finish in finishes}
    if run.ended_at and not run.lasted and run.state_type and not told:
        told[run.ended_at] = run.state_type
    for ended, state in told.items():
        if ended >= run.started_at:
            yield Measure(Family.DURATION, (ended - run.started_at).total_seconds(), ended, (state.value,))


def measured(run: RunState) -> RunState:
    """Return the run with all marked as measured that can be."""
    if run.started_at is None:
        return run
    return run.but(waited=run.due is not None, lasted=run.ended_at is not None)
