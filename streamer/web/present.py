"""Pure: the runs that have not ended, in numbers, and those of them that are worth a look first."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from heapq import nsmallest
from uuid import UUID

from schemas import StateType
from streamer.lifesigns import LifeSigns
from streamer.liveness import Status
from streamer.model import RunState
from streamer.run_view import Named, VerdictView
from streamer.runs import AWAITING_RETRY
from streamer.suspicion import SECOND
from streamer.timestamps import from_micros

SHOWN = 30

_JUDGED = {Status.ZOMBIE: 0, Status.SUSPECT: 1, Status.OVERDUE: 2}
_UNDER_WAY = (StateType.RUNNING, StateType.CANCELLING, StateType.PENDING, StateType.PAUSED)
_RANKS = {state: rank for rank, state in enumerate(_UNDER_WAY)}

Follows = tuple[UUID, LifeSigns, Status]
"""A run as a tracker knows it."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """How many runs there are by type of state and by what is held of them, and which come first, with intervals."""

    by_state: Mapping[str, int] = field(default_factory=dict)
    by_status: Mapping[str, int] = field(default_factory=dict)
    first: Mapping[UUID, float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PresentRun:
    """A run that has not ended: `beats` are its last heartbeats by the server's clock, `interval` their usual distance.

    `since` is when it came into its type of state; the interval is in seconds, and null until it is learned.
    """

    id: UUID
    name: str | None
    flow: Named | None
    deployment: Named | None
    tags: Sequence[str]
    run_count: int | None
    type: StateType | None
    state: str | None
    since: datetime | None
    verdict: VerdictView | None
    beats: Sequence[datetime]
    interval: float | None


@dataclass(frozen=True, slots=True)
class PresentView:
    """The runs that have not ended: how many, and the first of them, those that a verdict stands of before others."""

    total: int
    by_state: Mapping[str, int]
    by_status: Mapping[str, int]
    items: Sequence[PresentRun]


def choose(runs: Iterable[Follows], most: int = SHOWN) -> Chosen:
    """Return what stands out: zombies, suspects, overdue ones; then by state, the one that came into it last first.

    What is scheduled is counted only: there is often far more of it than of anything else.
    """
    states: Counter[str] = Counter()
    statuses: Counter[str] = Counter()

    def counted() -> Iterable[tuple[int, int, int, int, UUID, int | None]]:
        for ident, signs, status in runs:
            state = signs.move.type
            states[state.value] += 1
            statuses[status.value] += 1
            rank = _JUDGED.get(status, len(_JUDGED))
            if rank < len(_JUDGED) or state in _RANKS or signs.move.name == AWAITING_RETRY:
                yield rank, _RANKS.get(state, len(_RANKS)), -signs.since, ident.int, ident, signs.interval

    first = nsmallest(most, counted())
    intervals = {ident: interval / SECOND if interval else None for *_, ident, interval in first}
    return Chosen(dict(states), dict(statuses), intervals)


def view(chosen: Chosen, known: Mapping[UUID, RunState], names: Mapping[str, str]) -> PresentView:
    """Return what is shown of what was chosen."""
    items = [_shown(known[ident], interval, names) for ident, interval in chosen.first.items() if ident in known]
    return PresentView(sum(chosen.by_state.values()), chosen.by_state, chosen.by_status, items)


def _shown(run: RunState, interval: float | None, names: Mapping[str, str]) -> PresentRun:
    return PresentRun(
        id=run.id,
        name=run.name,
        flow=_named(run.flow, names),
        deployment=_named(run.deployment, names),
        tags=run.tags,
        run_count=run.run_count,
        type=run.state_type,
        state=run.state_name,
        since=run.since,
        verdict=VerdictView(*run.verdict) if run.verdict else None,
        beats=[from_micros(beat.received) for beat in run.beats],
        interval=interval,
    )


def _named(ident: str | None, names: Mapping[str, str]) -> Named | None:
    return Named(ident, names.get(ident)) if ident else None
