"""The envelope that all events share: Prefect's `ReceivedEvent` as the server sends it.

Models are frozen and strict: JSON of another type is refused, not converted. Fields we do not know are accepted and
stay in `raw`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, ClassVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

FLOW_RUN_PREFIX = "prefect.flow-run."


class Kind(StrEnum):
    """What an event is; the `kind` of a record."""

    TRANSITION = "transition"
    HEARTBEAT = "heartbeat"
    PULL_STEP = "pull_step"
    OTHER = "other"
    VERDICT = "verdict"
    NOTICE = "notice"
    ALERT = "alert"


class Wire(BaseModel):
    """Validate what comes from outside: strict, frozen, unknown fields ignored."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class Resource(Wire):
    """What an event is about: a set of string labels, of which the id is required."""

    id: str = Field(alias="prefect.resource.id")
    name: str | None = Field(None, alias="prefect.resource.name")


class RelatedResource(Wire):
    """Something that had to do with the event, in a role: flow, deployment, tag, …"""

    id: str = Field(alias="prefect.resource.id")
    role: str = Field(alias="prefect.resource.role")
    name: str | None = Field(None, alias="prefect.resource.name")
    work_pool_type: str | None = Field(None, alias="prefect.work-pool.type")


@dataclass(frozen=True, slots=True)
class Party:
    """A related resource taken apart: `prefect.<type>.<id>`, with its name where the event tells it."""

    type: str
    id: str
    name: str | None = None
    work_pool_type: str | None = None

    @classmethod
    def of(cls, related: RelatedResource) -> "Party":
        """Take apart the resource id; text after the second dot belongs to the id, as in `prefect.tag.team:a.b`."""
        _, _, rest = related.id.partition(".")
        kind, _, ident = rest.partition(".")
        return cls(kind, ident or related.id, related.name, related.work_pool_type)


class Event(Wire):
    """One validated event: who, what and when, with its JSON as it came in `raw`.

    `occurred` is the sender's clock, `received` the server's; `follows` is the id of the event before it, if known.
    """

    kind: ClassVar[Kind] = Kind.OTHER

    id: UUID
    occurred: AwareDatetime
    received: AwareDatetime | None = None
    name: str = Field(alias="event")
    resource: Resource
    related: tuple[RelatedResource, ...] = ()
    payload: Any = None
    follows: UUID | None = None

    @cached_property
    def raw(self) -> bytes:
        """Return the event's JSON on one line: the bytes it was decoded from, or its dump if it was made here."""
        return self.model_dump_json(by_alias=True).encode()

    @cached_property
    def run_id(self) -> UUID | None:
        """Return the id of the flow run the event is about; None if it is about something else."""
        if not self.resource.id.startswith(FLOW_RUN_PREFIX):
            return None
        try:
            return UUID(self.resource.id.removeprefix(FLOW_RUN_PREFIX))
        except ValueError:
            return None

    @cached_property
    def parties(self) -> Mapping[str, Party]:
        """Return the related resources by role, tags apart; the first of a role counts."""
        found: dict[str, Party] = {}
        for related in self.related:
            if related.role != "tag" and related.role not in found:
                found[related.role] = Party.of(related)
        return found

    @property
    def flow(self) -> Party | None:
        """Return the flow the run belongs to."""
        return self.parties.get("flow")

    @property
    def deployment(self) -> Party | None:
        """Return the deployment that made the run, if one did."""
        return self.parties.get("deployment")

    @property
    def work_queue(self) -> Party | None:
        """Return the work queue the run waits or waited in."""
        return self.parties.get("work-queue")

    @property
    def work_pool(self) -> Party | None:
        """Return the work pool of the run, with its type where the event tells it."""
        return self.parties.get("work-pool")

    @property
    def task_run(self) -> Party | None:
        """Return the task run that started this run, if it is a subflow."""
        return self.parties.get("task-run")

    @property
    def creator(self) -> Party | None:
        """Return the deployment or automation that created the run."""
        return self.parties.get("creator")

    @cached_property
    def tags(self) -> tuple[str, ...]:
        """Return the tags of run, flow and deployment; a tag is free text and may hold dots and colons."""
        return tuple(Party.of(each).id for each in self.related if each.role == "tag")
