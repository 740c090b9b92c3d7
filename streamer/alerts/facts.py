"""What a rule remembers of a group, and what it found in it. Both are kept as JSON in the store."""

from collections.abc import Mapping
from datetime import datetime
from enum import Enum, auto
from typing import NamedTuple
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict

from schemas import State
from schemas.alert import About, Concerned


class Key(NamedTuple):
    """A group: what a rule tells apart of a source."""

    rule: str
    source: str
    group: str


class Sign(Enum):
    """What a record, or time, tells about a group: something goes wrong, all is well, or neither."""

    BAD = auto()
    GOOD = auto()
    NEITHER = auto()


class Kept(BaseModel):
    """What is kept over restarts."""

    model_config = ConfigDict(frozen=True)


class Share(NamedTuple):
    """How many runs ended, and failed, in a stretch of time that began at `start`."""

    start: datetime
    ended: int
    failed: int


class Waiting(NamedTuple):
    """A run by name that is in something since a time, and the event that told so."""

    since: datetime
    name: str | None
    event: UUID | None = None


class Facts(Kept):
    """What rules go by; each has its own.

    `failures`: how many in a row. `times`: of the last failures, in order. `shares`: of runs that failed, by time.
    `success`: when a run completed last, or the first was seen. `waiting`: runs that are in a state. `overdue`: those
    that are in it for too long, or that a verdict stands of.
    """

    failures: int = 0
    times: tuple[AwareDatetime, ...] = ()
    shares: tuple[Share, ...] = ()
    success: AwareDatetime | None = None
    waiting: Mapping[UUID, Waiting] = {}
    overdue: Mapping[UUID, Waiting] = {}


class Incident(Kept):
    """Something that goes wrong: since when, how often, and whom its newest occurrence, the `last`, is about.

    `announced` counts how often it was said, the last time at `announced_at`. Until `held_until` nobody is to be told.
    It keeps the `severity` that it began with, so that who is told that it began is told that it is over.
    """

    id: UUID
    severity: str
    reason: str
    since: AwareDatetime
    last: AwareDatetime
    occurrences: int
    runs: tuple[Concerned, ...]
    state: State | None
    run_count: int | None
    about: About
    announced: int = 0
    announced_at: AwareDatetime | None = None
    held_until: AwareDatetime | None = None


class Group(Kept):
    """A group as a rule knows it: whom its newest record was about, when that was, and when all was well last.

    Whom is not kept while there is nothing that time alone could tell. What is remembered is of use to a rule with
    this `fingerprint`.
    """

    fingerprint: str = ""
    facts: Facts = Facts()
    about: About | None = None
    touched: AwareDatetime | None = None
    good: AwareDatetime | None = None
    incident: Incident | None = None
