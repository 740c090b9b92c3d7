"""Pure: what all rules have. Each is a table `[alerts.NAME]`, and knows what records and time tell about a group."""

from abc import ABC, abstractmethod
from collections.abc import Collection
from datetime import datetime, timedelta
from functools import cached_property
from hashlib import blake2s
from typing import Annotated, Any, ClassVar, NamedTuple, Self
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BeforeValidator, Field, InstanceOf, model_validator

from schemas import Alert, Event, Notice, Transition
from schemas.ours import NoticeAbout
from streamer.alerts.facts import Facts, Sign
from streamer.alerts.grouping import Grouping
from streamer.alerts.quiet import Quiet, read_quiet
from streamer.durations import Duration
from streamer.model import Record, RunState
from streamer.routing import Routing

Span = Annotated[Duration, Field(ge=timedelta(seconds=1))]

FAILURES = ("FAILED", "CRASHED")
SUCCESS = "COMPLETED"

_STATES = ("states", "state_names", "from_states")
_ANY_STATE: dict[str, Any] = {**dict.fromkeys(_STATES, ()), "min_run_count": None, "max_run_count": None}


class Found(NamedTuple):
    """What a record or time has told: what is remembered from now on, and what that means.

    Of what time has told: when it began to be so, and of which run, if it is of one.
    """

    facts: Facts
    sign: Sign = Sign.NEITHER
    at: datetime | None = None
    run: UUID | None = None


class Rule(Routing, ABC):
    """Which runs a rule is about, what it tells apart, and whom it wakes up when.

    `repeat` says again so long after it was said that something goes on; `resolve_after` ends what did not occur again
    for so long. In `quiet` times of the `timezone` nothing new is said; what goes on when they end is said then.
    """

    in_order: ClassVar[bool] = False
    """Whether what went wrong before all was well, but is heard of after it, tells nothing any more."""

    adjustable: ClassVar[frozenset[str]] = frozenset({"severity", "repeat", "resolve_after", "quiet", "timezone"})
    """What can be changed, and what is remembered of groups still fits."""

    severity: str = Field("warning", min_length=1)
    group: Grouping = Grouping.DEPLOYMENT
    repeat: Annotated[Duration, Field(ge=timedelta(minutes=1))] | None = None
    resolve_after: Span | None = None
    quiet: tuple[Annotated[InstanceOf[Quiet], BeforeValidator(read_quiet)], ...] = ()
    timezone: str = "UTC"

    @model_validator(mode="after")
    def _looks_at_runs(self) -> Self:
        if named := [name for name in ("kinds", "verdicts", "alerts", "severities") if getattr(self.match, name)]:
            raise ValueError(f"match.{named[0]} is for sinks; a rule looks at all that there is about a run")
        return self

    @model_validator(mode="after")
    def _knows_its_zone(self) -> Self:
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{self.timezone!r} is no time zone such as Europe/Berlin") from None
        return self

    @property
    def zone(self) -> ZoneInfo:
        """Return the time zone of the quiet times."""
        return ZoneInfo(self.timezone)

    @cached_property
    def fingerprint(self) -> str:
        """Return what differs for a rule that cannot go on from what this one remembers."""
        looked_for = self.model_dump_json(exclude=set(self.adjustable), exclude_defaults=True)
        return blake2s(looked_for.encode(), digest_size=8).hexdigest()

    @cached_property
    def _whom(self) -> Routing:
        return Routing(match=self.match.but(**_ANY_STATE), exclude=self.exclude)

    def looks_at(self, record: Record) -> bool:
        """Tell whether a record is about a run that this rule is about, whatever has become of it."""
        return not isinstance(record.event, Alert) and self._whom.refusal(record) is None

    @abstractmethod
    def take(self, facts: Facts, record: Record) -> Found:
        """Return what a record tells that the rule looks at."""

    @abstractmethod
    def reason(self, facts: Facts, record: Record | None) -> str:
        """Return in words what goes wrong; `record` is what has told it, if it was not time."""

    def due(self, facts: Facts, *, firing: bool) -> datetime | None:
        """Return when time alone will tell something."""
        return None

    def passed(self, facts: Facts, now: datetime, *, firing: bool) -> Found:
        """Return what it tells that it is `now`."""
        return Found(facts)

    def suspects(self, facts: Facts, now: datetime) -> Collection[UUID]:
        """Return the runs of which time would tell something now, if they are still what we take them for."""
        return ()

    def stands(self, run: RunState | None) -> bool:
        """Tell whether a run, as the store knows it, still is what we take it for."""
        return True

    def without(self, facts: Facts, runs: Collection[UUID]) -> Facts:
        """Forget runs that are not what we took them for."""
        return facts


class StatelessRule(Rule):
    """A rule that knows itself which states matter, so that `match` is about whose they are."""

    @model_validator(mode="after")
    def _names_no_states(self) -> Self:
        if named := [name for name in _ANY_STATE if getattr(self.match, name)]:
            raise ValueError(f"match.{named[0]} is for rules on transitions; this one knows which states matter")
        return self


def is_deletion(event: Event) -> bool:
    """Tell whether this is that a run is gone from the server."""
    return isinstance(event, Notice) and event.about is NoticeAbout.DELETED


def is_failure(record: Record) -> bool:
    """Tell whether a run failed or crashed here; one that is tried again by itself has not."""
    event = record.event
    return isinstance(event, Transition) and event.is_finish and event.to_type in FAILURES


def is_success(record: Record) -> bool:
    """Tell whether a run completed here."""
    event = record.event
    return isinstance(event, Transition) and event.is_finish and event.to_type == SUCCESS
