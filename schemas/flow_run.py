"""Prefect's events about flow runs, told apart by what they contain.

State names are free text, so the event's name proves nothing: a user may name a state `heartbeat`. What carries a
state type is a transition (PrefectHQ/prefect `server/models/events.py`, `flow_run_state_change_event`).
"""

from enum import StrEnum
from typing import Annotated, ClassVar, Self
from uuid import UUID

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticCustomError

from schemas.event import FLOW_RUN_PREFIX, WIRE, Event, Kind, Resource

HEARTBEAT_NAME = f"{FLOW_RUN_PREFIX}heartbeat"
PULL_STEP_NAMES = frozenset({f"{FLOW_RUN_PREFIX}pull-step.executed", f"{FLOW_RUN_PREFIX}pull-step.failed"})

FlowRunId = Annotated[
    str,
    Field(
        alias="prefect.resource.id", pattern=r"^prefect\.flow-run\.[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
    ),
]


class StateType(StrEnum):
    """Prefect's nine state types."""

    SCHEDULED = "SCHEDULED"
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    CRASHED = "CRASHED"
    PAUSED = "PAUSED"
    CANCELLING = "CANCELLING"

    @property
    def is_terminal(self) -> bool:
        """Tell whether a run in this state has ended (it may still flip, or be retried)."""
        return self in _TERMINAL


_TERMINAL = frozenset({StateType.COMPLETED, StateType.FAILED, StateType.CANCELLED, StateType.CRASHED})


@dataclass(frozen=True, slots=True, kw_only=True, config=WIRE)
class State:
    """A state in a transition's payload; `pause_reschedule` tells a suspended run from a paused one."""

    type: StateType
    name: str
    message: str | None = None
    pause_reschedule: bool | None = Field(default=None, strict=False)


@dataclass(frozen=True, slots=True, kw_only=True, config=WIRE)
class Intended:
    """The state types a transition went between, as the server validated them."""

    from_type: StateType | None = Field(default=None, alias="from")
    to_type: StateType = Field(alias="to")


@dataclass(frozen=True, slots=True, kw_only=True, config=WIRE)
class TransitionPayload:
    """What changed; `initial_state` is null on a run's first transition."""

    intended: Intended
    initial_state: State | None = None
    validated_state: State


@dataclass(frozen=True, slots=True, kw_only=True, config=WIRE)
class FlowRunResource(Resource):
    """A flow run as the subject of an event."""

    id: FlowRunId


@dataclass(frozen=True, slots=True, kw_only=True, config=WIRE)
class TransitionResource(FlowRunResource):
    """A flow run with the labels of its new state; `run_count` is there since Prefect 3.4.8."""

    run_count: int | None = Field(default=None, alias="prefect.run-count", strict=False, ge=0, lt=2**31)
    state_name: str | None = Field(default=None, alias="prefect.state-name")
    state_message: str | None = Field(default=None, alias="prefect.state-message")
    state_type: StateType = Field(alias="prefect.state-type")


class FlowRunEvent(Event):
    """An event about a flow run."""

    resource: FlowRunResource

    @property
    def run(self) -> UUID:
        """Return the id of the run; never None here, the schema has seen to it."""
        assert self.run_id is not None
        return self.run_id


class Transition(FlowRunEvent):
    """A run entered a state. The event's id is the id of that state."""

    kind: ClassVar[Kind] = Kind.TRANSITION

    resource: TransitionResource
    payload: TransitionPayload

    @model_validator(mode="after")
    def _agree(self) -> Self:
        label, state, intended = self.resource.state_type, self.payload.validated_state, self.payload.intended
        if label is not state.type:
            raise _disagreement("resource.prefect.state-type", label, state.type)
        if intended.to_type is not state.type:
            raise _disagreement("payload.intended.to", intended.to_type, state.type)
        return self

    @property
    def run_count(self) -> int | None:
        """Return which attempt this is, counted from 1 when it runs; None before Prefect 3.4.8."""
        return self.resource.run_count

    @property
    def before(self) -> State | None:
        """Return the state the run left; None on its first transition."""
        return self.payload.initial_state

    @property
    def after(self) -> State:
        """Return the state the run entered."""
        return self.payload.validated_state

    @property
    def from_type(self) -> StateType | None:
        """Return the type of the state the run left; None on its first transition."""
        return self.before.type if self.before else self.payload.intended.from_type

    @property
    def to_type(self) -> StateType:
        """Return the type of the state the run entered."""
        return self.after.type

    @property
    def is_finish(self) -> bool:
        """Tell whether the run ended here: a terminal state entered from one that is not."""
        return self.to_type.is_terminal and not (self.from_type and self.from_type.is_terminal)


@dataclass(frozen=True, slots=True, kw_only=True, config=WIRE)
class HeartbeatResource(FlowRunResource):
    """A flow run as its own process names it."""

    sdk_version: str | None = Field(default=None, alias="prefect.version")


class Heartbeat(FlowRunEvent):
    """A sign of life from the process that runs the flow."""

    kind: ClassVar[Kind] = Kind.HEARTBEAT

    resource: HeartbeatResource


class PullStep(FlowRunEvent):
    """A step that fetched the flow's code ran on the worker, or failed."""

    kind: ClassVar[Kind] = Kind.PULL_STEP

    @property
    def step(self) -> str | None:
        """Return the step's short name, such as `git_clone`."""
        name = self.payload.get("step_name") if isinstance(self.payload, dict) else None
        return name if isinstance(name, str) else None

    @property
    def failed(self) -> bool:
        """Tell whether the step failed."""
        return self.name.endswith(".failed")


class Other(Event):
    """A valid event that is none of ours to interpret: of another prefix, or emitted by a user about a run."""

    @model_validator(mode="after")
    def _not_forged(self) -> Self:
        if self.name.startswith(FLOW_RUN_PREFIX) and self.run_id is None:
            raise PydanticCustomError("forged", "resource.prefect.resource.id: no flow run, as the event's name says")
        return self


def _disagreement(field: str, value: StateType, state: StateType) -> PydanticCustomError:
    return PydanticCustomError(
        "disagreement",
        "{field} is {value}, but payload.validated_state.type is {state}",
        {"field": field, "value": value.value, "state": state.value},
    )
