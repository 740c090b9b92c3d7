"""What belongs to a run, as GraphQL answers with it."""

from dataclasses import fields
from datetime import datetime
from typing import TypeVar
from uuid import UUID

import strawberry

from schemas import StateType
from schemas.ours import VerdictStatus

T = TypeVar("T")

strawberry.enum(StateType, name="state_type")
strawberry.enum(VerdictStatus, name="verdict_status")


def copied(kind: type[T], told: object, **more: object) -> T:
    """Return what has the same in fields of the same names."""
    names = [each.name for each in fields(kind) if each.init and each.name not in more]  # type: ignore[arg-type]
    return kind(**{name: getattr(told, name) for name in names}, **more)


@strawberry.type(name="transition")
class Transition:
    """A state that a run has come into, and how many seconds it was in it; null of the terminal one it is in now."""

    id: UUID
    type: StateType
    name: str
    message: str | None
    occurred: datetime
    seconds: float | None
    run_count: int | None
    follows: UUID | None


@strawberry.type(name="heartbeat")
class Heartbeat:
    """A heartbeat by its sender's clock and by the server's."""

    occurred: datetime
    received: datetime


@strawberry.type(name="log")
class LogLine:
    """A line of the log of a run or one of its tasks, from the Prefect server; levels are those of `logging`."""

    id: UUID
    timestamp: datetime
    level: int
    name: str
    message: str
    task_run_id: UUID | None


@strawberry.type(name="task_run_state")
class TaskRunState:
    """The state of a task run."""

    id: UUID
    type: StateType
    name: str
    timestamp: datetime
    message: str | None


@strawberry.type(name="task_run")
class TaskRun:
    """A task run, from the Prefect server; `total_run_time` is in seconds."""

    id: UUID
    name: str
    task_key: str
    dynamic_key: str
    tags: list[str]
    run_count: int
    state: TaskRunState | None
    created: datetime | None
    expected_start_time: datetime | None
    start_time: datetime | None
    end_time: datetime | None
    total_run_time: float


@strawberry.type(name="verdict")
class Verdict:
    """What a run is held to be, why, and since when."""

    status: VerdictStatus
    reason: str
    at: datetime


@strawberry.type(name="named")
class Named:
    """A work pool or a work queue, by id and newest name."""

    id: str
    name: str | None
