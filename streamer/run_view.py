"""Pure: a run, its states and what belongs to it as JSON has them, with names; also what only the server can tell."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any
from uuid import UUID

from schemas import StateType, Transition
from streamer.model import Record, RunState
from streamer.timestamps import from_micros

NO_PAGES: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Named:
    """Something with an id and, if we have ever heard it, a name."""

    id: str
    name: str | None


@dataclass(frozen=True, slots=True)
class StateView:
    """The newest state of a run, and when it came into it; all is null of a run of which no state is known."""

    id: UUID | None
    type: StateType | None
    name: str | None
    message: str | None
    at: datetime | None


@dataclass(frozen=True, slots=True)
class VerdictView:
    """What a run is held to be, why, and since when."""

    status: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class RunView:
    """What is known of a run.

    `since` is when it came into this type of state and this attempt, `created` when the oldest event that we have of it
    occurred, `due` when it should have started, `last_heartbeat` by its sender's clock. `duration` is in seconds from
    its first start to its end, null as long as it has none. `parent_task_run` is the task run that it is a subflow of,
    `url` Prefect's page about it.
    """

    id: UUID
    name: str | None
    source: str
    flow: Named | None
    deployment: Named | None
    work_pool: Named | None
    work_queue: Named | None
    parent_task_run: str | None
    tags: Sequence[str]
    run_count: int | None
    state: StateView
    since: datetime | None
    created: datetime | None
    due: datetime | None
    started: datetime | None
    ended: datetime | None
    duration: float | None
    deleted: datetime | None
    last_heartbeat: datetime | None
    verdict: VerdictView | None
    url: str | None


@dataclass(frozen=True, slots=True)
class TransitionView:
    """A state that a run has come into, and how many seconds it was in it; null of the terminal one it is in now."""

    id: UUID
    type: StateType
    name: str
    message: str | None
    occurred: datetime
    seconds: float | None
    run_count: int | None
    follows: UUID | None


@dataclass(frozen=True, slots=True)
class HeartbeatView:
    """A heartbeat by its sender's clock and by the server's."""

    occurred: datetime
    received: datetime


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of the log of a run or one of its tasks, as Prefect has it; the level is a number, as in `logging`."""

    id: UUID
    timestamp: datetime
    level: int
    name: str
    message: str
    task_run_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class TaskRunState:
    """The state of a task run, as Prefect has it."""

    id: UUID
    type: StateType
    name: str
    timestamp: datetime
    message: str | None = None


@dataclass(frozen=True, slots=True)
class TaskRunView:
    """A task run, as Prefect has it; `total_run_time` is in seconds."""

    id: UUID
    name: str
    task_key: str
    dynamic_key: str
    tags: Sequence[str] = ()
    run_count: int = 0
    state: TaskRunState | None = None
    created: datetime | None = None
    expected_start_time: datetime | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    total_run_time: float = 0.0


def view(run: RunState, names: Mapping[str, str], pages: Mapping[str, str] = NO_PAGES) -> RunView:
    """Return what is known of a run; `pages` has by source where Prefect's pages are."""

    def named(ident: str | None) -> Named | None:
        return Named(ident, names.get(ident)) if ident else None

    ended = run.ended_at if run.started_at else None
    return RunView(
        id=run.id,
        name=run.name,
        source=run.source,
        flow=named(run.flow),
        deployment=named(run.deployment),
        work_pool=named(run.work_pool),
        work_queue=named(run.work_queue),
        parent_task_run=run.task_run,
        tags=run.tags,
        run_count=run.run_count,
        state=StateView(run.state_id, run.state_type, run.state_name, run.state_message, run.state_at),
        since=run.since,
        created=run.seen_at,
        due=run.due,
        started=run.started_at,
        ended=run.ended_at,
        duration=(ended - run.started_at).total_seconds() if ended and run.started_at else None,
        deleted=run.deleted_at,
        last_heartbeat=from_micros(run.beats[-1].occurred) if run.beats else None,
        verdict=VerdictView(*run.verdict) if run.verdict else None,
        url=f"{pages[run.source]}/runs/flow-run/{run.id}" if run.source in pages else None,
    )


def as_json(run: RunState, names: Mapping[str, str], pages: Mapping[str, str] = NO_PAGES) -> dict[str, Any]:
    """Return what is known of a run as JSON-ready values: see `RunView`."""
    return asdict(view(run, names, pages))


def heartbeats(run: RunState) -> list[HeartbeatView]:
    """Return the last heartbeats of a run, oldest first."""
    return [HeartbeatView(from_micros(beat.occurred), from_micros(beat.received)) for beat in run.beats]


def transitions(records: Iterable[Record], *, now: datetime) -> list[TransitionView]:
    """Return the states that a run came into, in order; it is in the last one still."""
    moves = _in_order(records)
    ends = [*(after.occurred for _, after in pairwise(moves)), None]
    return [_passed(move, end, now) for move, end in zip(moves, ends, strict=False)]


def _in_order(records: Iterable[Record]) -> list[Transition]:
    """Return the transitions by when they occurred; of two in the same instant, one comes after what it follows."""
    came = sorted(records, key=lambda record: (record.event.occurred, record.seq))
    moves = [record.event for record in came if isinstance(record.event, Transition)]
    for place, (one, other) in enumerate(pairwise(list(moves))):
        if one.occurred == other.occurred and one.follows == other.id:
            moves[place : place + 2] = other, one
    return moves


def _passed(move: Transition, end: datetime | None, now: datetime) -> TransitionView:
    until = None if end is None and move.to_type.is_terminal else max(end or now, move.occurred)
    return TransitionView(
        id=move.id,
        type=move.to_type,
        name=move.after.name,
        message=move.after.message,
        occurred=move.occurred,
        seconds=(until - move.occurred).total_seconds() if until else None,
        run_count=move.run_count,
        follows=move.follows,
    )
