"""Pure: which records a sink is given, and why it is not given one."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Annotated, Any, Protocol, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from schemas import Alert, Event, Kind, Party, StateType, Transition, Verdict
from schemas.flow_run import State
from streamer.model import Record

FIRST = "NONE"
"""The type of the state before a run's first."""


def _is_state(glob: str) -> str:
    known = [*StateType, FIRST]
    if not any(fnmatchcase(state, glob) for state in known):
        raise ValueError(f"{glob!r} is no type of state: there are {', '.join(known)}")
    return glob


Globs = tuple[str, ...]
States = tuple[Annotated[str, AfterValidator(_is_state)], ...]
Count = Annotated[int, Field(ge=0)]


class Criteria(BaseModel):
    """Globs, for names each may also be an id. Of several criteria a record meets each; one that is empty asks nothing.

    States and run counts are told by transitions, verdicts and alerts; `verdicts` are their statuses, and `alerts` the
    names of rules. Another record does not meet a criterion about them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kinds: tuple[Kind, ...] = ()
    sources: Globs = ()
    flows: Globs = ()
    deployments: Globs = ()
    work_pools: Globs = ()
    work_queues: Globs = ()
    tags_any: Globs = ()
    tags_all: Globs = ()
    tags_none: Globs = ()
    states: States = ()
    state_names: Globs = ()
    from_states: States = ()
    verdicts: Globs = ()
    alerts: Globs = ()
    severities: Globs = ()
    min_run_count: Count | None = None
    max_run_count: Count | None = None

    @cached_property
    def _asked(self) -> Sequence[tuple[str, Globs]]:
        return [(name, globs) for name in _TOLD if (globs := getattr(self, name))]

    def but(self, **changed: Any) -> Self:
        """Return the same criteria, but for these."""
        return self.model_validate(self.model_dump() | changed)

    def unmet(self, record: Record) -> str | None:
        """Return the first criterion that a record does not meet, and what it has instead."""
        return None if self.asks_nothing else next(self._unmet(record), None)

    @cached_property
    def asks_nothing(self) -> bool:
        """Tell whether every record meets them."""
        return self == Criteria()

    def _unmet(self, record: Record) -> Iterator[str]:
        for name, globs in self._asked:
            if not _any(globs, values := _TOLD[name](record)):
                yield f"{name}: {', '.join(values) or 'none'}"
        tags = record.event.tags
        yield from (f"tags_all: not {glob}" for glob in self.tags_all if not _any([glob], tags))
        yield from (f"tags_none: {tag}" for tag in tags if _any(self.tags_none, [tag]))
        count = _run_count(record.event)
        if self.min_run_count is not None and (count is None or count < self.min_run_count):
            yield f"min_run_count: {count}"
        if self.max_run_count is not None and (count is None or count > self.max_run_count):
            yield f"max_run_count: {count}"


class Routing(BaseModel):
    """What a sink wants: what meets `match`, but not what meets `exclude`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    match: Criteria = Criteria()
    exclude: Criteria | None = None

    @model_validator(mode="after")
    def _leaves_something(self) -> Self:
        if self.exclude and self.exclude.asks_nothing:
            raise ValueError("exclude has no criterion, so that it would exclude everything")
        return self

    def refusal(self, record: Record) -> str | None:
        """Return why the sink does not want this record; None if it does."""
        if unmet := self.match.unmet(record):
            return f"match.{unmet}"
        return "exclude" if self.exclude and not self.exclude.unmet(record) else None


class Route(Routing):
    """Where to send what it wants: to the sinks whose names meet a glob, or with `drop` to none."""

    sinks: Globs = ()
    drop: bool = False

    @model_validator(mode="after")
    def _leads_somewhere(self) -> Self:
        if bool(self.sinks) == self.drop:
            raise ValueError("a route says either the sinks it leads to, or drop = true")
        return self

    def leads_to(self, sink: str) -> bool:
        """Tell whether the sink is one of those that the record is sent to."""
        return _any(self.sinks, [sink])


class Wishes(Protocol):
    """What says which records a sink is given."""

    def refusal(self, record: Record) -> str | None:
        """Return why the sink is not given this record; None if it is."""
        ...


@dataclass(frozen=True, slots=True)
class Routed:
    """The wishes of a sink that others have a say in: the first route that wants a record decides whom it is for."""

    sink: str
    routes: Sequence[Route]
    routing: Routing

    def refusal(self, record: Record) -> str | None:
        """Return why the sink is not given this record; None if it is. What no route wants is for all sinks."""
        for number, route in enumerate(self.routes, 1):
            if route.refusal(record) is None:
                if not route.leads_to(self.sink):
                    return f"route {number}: {'drop' if route.drop else ', '.join(route.sinks)}"
                break
        return self.routing.refusal(record)


def _state(event: Event) -> State | None:
    if isinstance(event, Transition):
        return event.after
    if isinstance(event, Alert):
        return event.situation.state
    return event.ruling.state if isinstance(event, Verdict) else None


def _from(event: Event) -> Sequence[str]:
    return [event.from_type or FIRST] if isinstance(event, Transition) else []


def _run_count(event: Event) -> int | None:
    if isinstance(event, Transition):
        return event.run_count
    if isinstance(event, Alert):
        return event.situation.run_count
    return event.ruling.run_count if isinstance(event, Verdict) else None


def _names(party: Party | None) -> Sequence[str]:
    return [each for each in (party.name, party.id) if each] if party else []


def _any(globs: Sequence[str], values: Sequence[str]) -> bool:
    return any(fnmatchcase(value, glob) for value in values for glob in globs)


_TOLD: Mapping[str, Callable[[Record], Sequence[str]]] = {
    "kinds": lambda record: [record.event.kind],
    "sources": lambda record: [record.source],
    "flows": lambda record: _names(record.event.flow),
    "deployments": lambda record: _names(record.event.deployment),
    "work_pools": lambda record: _names(record.event.work_pool),
    "work_queues": lambda record: _names(record.event.work_queue),
    "tags_any": lambda record: record.event.tags,
    "states": lambda record: [state.type] if (state := _state(record.event)) else [],
    "state_names": lambda record: [state.name] if (state := _state(record.event)) else [],
    "from_states": lambda record: _from(record.event),
    "verdicts": lambda record: [record.event.ruling.status] if isinstance(record.event, Verdict) else [],
    "alerts": lambda record: [record.event.situation.rule] if isinstance(record.event, Alert) else [],
    "severities": lambda record: [record.event.situation.severity] if isinstance(record.event, Alert) else [],
}
"""What a record says, by the criterion that asks for one of it."""
