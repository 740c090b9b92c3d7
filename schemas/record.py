"""The record handed downstream: one event, its place in the log, and who it is about, flat enough for any consumer.

The JSON Schema in `schemas/json/record.json` is exported from `RecordBody`, and a test holds `downstream` to it.
"""

from typing import Any
from uuid import UUID

import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from schemas.alert import Alert
from schemas.event import Event, Kind, Party
from schemas.flow_run import FlowRunEvent, PullStep, State, Transition
from schemas.ours import Notice, Verdict


class Body(BaseModel):
    """Describe a part of a record; every key is always there."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Named(Body):
    """Something with an id and, where the event tells it, a name."""

    id: str
    name: str | None


class Typed(Named):
    """A work pool with its type, or a creator that is a `deployment` or an `automation`."""

    type: str | None


class RunBody(Body):
    """The flow run; `run_count` tells its attempts apart."""

    id: UUID
    name: str | None
    run_count: int | None


class StateBody(Body):
    """A state as a transition shows it."""

    type: str
    name: str
    message: str | None


class PullStepBody(Body):
    """A step that fetched the flow's code."""

    name: str | None
    failed: bool


class RecordBody(Body):
    """A record as sinks, the HTTP API and `streamer tail --json` hand it on."""

    seq: int = Field(description="place in the log: ordered, not dense")
    id: UUID = Field(description="the event's id, stable over deliveries; of a transition also the id of the state")
    source: str
    kind: Kind
    event: str = Field(description="the event's name, such as prefect.flow-run.Running")
    occurred: AwareDatetime = Field(description="by the sender's clock")
    received: AwareDatetime | None = Field(description="by the Prefect server's clock")
    follows: UUID | None
    flow_run: RunBody | None
    flow: Named | None
    deployment: Named | None
    work_pool: Typed | None
    work_queue: Named | None
    task_run: Named | None
    creator: Typed | None
    tags: list[str]
    from_: StateBody | None = Field(None, alias="from")
    to: StateBody | None = None
    pull_step: PullStepBody | None = None
    verdict: dict[str, Any] | None = None
    notice: dict[str, Any] | None = None
    alert: dict[str, Any] | None = None


def downstream(seq: int, source: str, event: Event) -> dict[str, Any]:
    """Return the record of an event as JSON-ready values; transitions have `from` and `to`, others what is theirs."""
    return {
        "seq": seq,
        "id": event.id,
        "source": source,
        "kind": event.kind.value,
        "event": event.name,
        "occurred": event.occurred,
        "received": event.received,
        "follows": event.follows,
        "flow_run": _run(event),
        "flow": _named(event.flow),
        "deployment": _named(event.deployment),
        "work_pool": _work_pool(event.work_pool),
        "work_queue": _named(event.work_queue),
        "task_run": _named(event.task_run),
        "creator": _creator(event.creator),
        "tags": list(event.tags),
        **_particulars(event),
    }


def to_json(seq: int, source: str, event: Event) -> bytes:
    """Return the record of an event as one line of JSON, times in UTC with a Z."""
    return orjson.dumps(downstream(seq, source, event), option=orjson.OPT_UTC_Z)


def _particulars(event: Event) -> dict[str, Any]:
    match event:
        case Transition():
            return {"from": _state(event.before), "to": _state(event.after)}
        case PullStep():
            return {"pull_step": {"name": event.step, "failed": event.failed}}
        case Verdict():
            return {"verdict": event.ruling.model_dump(mode="json")}
        case Notice():
            return {"notice": event.announcement.model_dump(mode="json")}
        case Alert():
            return {"alert": event.situation.model_dump(mode="json")}
        case _:
            return {}


def _run(event: Event) -> dict[str, Any] | None:
    if not isinstance(event, FlowRunEvent | Notice) or event.run_id is None:
        return None
    count = event.run_count if isinstance(event, Transition) else None
    return {"id": event.run_id, "name": event.resource.name, "run_count": count}


def _named(party: Party | None) -> dict[str, Any] | None:
    return {"id": party.id, "name": party.name} if party else None


def _work_pool(party: Party | None) -> dict[str, Any] | None:
    return {"id": party.id, "name": party.name, "type": party.work_pool_type} if party else None


def _creator(party: Party | None) -> dict[str, Any] | None:
    return {"id": party.id, "name": party.name, "type": party.type} if party else None


def _state(state: State | None) -> dict[str, Any] | None:
    return {"type": state.type.value, "name": state.name, "message": state.message} if state else None
