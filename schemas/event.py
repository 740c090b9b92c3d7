"""The envelope that all events share: Prefect's `ReceivedEvent` as the server sends it.

Models are frozen and strict: JSON of another type is refused, not converted. Fields we do not know are accepted and
stay in `raw`. What every event has several of are dataclasses with slots, which are made and read in less time.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import Annotated, Any, ClassVar, NamedTuple
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.dataclasses import dataclass

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


WIRE = ConfigDict(strict=True, extra="ignore")


class Wire(BaseModel):
    """Validate what comes from outside: strict, frozen, unknown fields ignored."""

    model_config = ConfigDict(**WIRE, frozen=True)


def _in_utc(moment: datetime) -> datetime:
    """Return the same time in UTC, by which all of ours is reckoned; what UTC's calendar lacks stays as it is."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return moment


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]


@dataclass(frozen=True, slots=True, kw_only=True, config=WIRE)
class Resource:
    """What an event is about: a set of string labels, of which the id is required."""

    id: str = Field(alias="prefect.resource.id")
    name: str | None = Field(default=None, alias="prefect.resource.name")


@dataclass(frozen=True, slots=True, kw_only=True, config=WIRE)
class RelatedResource:
    """Something that had to do with the event, in a role: flow, deployment, tag, …"""

    id: str = Field(alias="prefect.resource.id")
    role: str = Field(alias="prefect.resource.role")
    name: str | None = Field(default=None, alias="prefect.resource.name")
    work_pool_type: str | None = Field(default=None, alias="prefect.work-pool.type")


class Party(NamedTuple):
    """A related resource taken apart: `prefect.<type>.<id>`, with its name where the event tells it."""

    type: str
    id: str
    name: str | None = None
    work_pool_type: str | None = None

    @classmethod
    def of(cls, related: RelatedResource) -> "Party":
        """Take apart the resource id; text after the second dot belongs to the id, as in `prefect.tag.team:a.b`."""
        kind, ident = _apart(related.id)
        return cls(kind, ident, related.name, related.work_pool_type)


@lru_cache(4096)
def _apart(resource_id: str) -> tuple[str, str]:
    """Return type and id; most are met again and again, since runs are many and what they have to do with is not."""
    _, _, rest = resource_id.partition(".")
    kind, _, ident = rest.partition(".")
    return kind, ident or resource_id


class Event(Wire):
    """One validated event: who, what and when, with its JSON as it came in `raw`.

    `occurred` is the sender's clock, `received` the server's; `follows` is the id of the event before it, if known.
    """

    kind: ClassVar[Kind] = Kind.OTHER

    id: UUID
    occurred: Moment
    received: Moment | None = None
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
            role = related.role
            if role != "tag" and role not in found:
                found[role] = Party.of(related)
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
        return tuple([_apart(each.id)[1] for each in self.related if each.role == "tag"])
