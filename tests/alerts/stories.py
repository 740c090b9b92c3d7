"""Stories to replay: what becomes of runs, minute by minute, and what is said of it."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, NamedTuple
from uuid import UUID, uuid5

import orjson
from pydantic import TypeAdapter

from schemas import Alert, Event, State, StateType, decode
from schemas.ours import Ruling, VerdictStatus
from schemas.verdicts import verdict
from streamer.alerts.conditions import AnyRule
from streamer.alerts.engine import Engine
from streamer.alerts.rule import Rule
from streamer.model import Record
from streamer.testing import an_event

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
"""A Saturday."""

_RULE: TypeAdapter[Rule] = TypeAdapter(AnyRule)
_IDS = UUID(int=7)


class Said(NamedTuple):
    """What was said of an incident, and in which minute it was so."""

    minute: float
    status: str
    reason: str
    occurrences: int


def rule(on: str, **fields: Any) -> Rule:
    """Return a rule as it is configured."""
    return _RULE.validate_python({"on": on, **fields})


def at(minute: float) -> datetime:
    """Return a time, in minutes since noon."""
    return NOON + timedelta(minutes=minute)


def run_id(name: str) -> UUID:
    """Return the id of a run by its name."""
    return uuid5(_IDS, name)


def moved(
    minute: float,
    run: str,
    after: str,
    *,
    before: str = "RUNNING",
    deployment: str = "nightly",
    message: str | None = None,
) -> Event:
    """Return that a run entered a state, from RUNNING unless it is said."""
    related = [_related("flow", "etl"), _related("deployment", deployment)]
    event = an_event(before=before, after=after, occurred=at(minute), run=str(run_id(run)), related=related)
    event["resource"]["prefect.resource.name"] = run
    event["payload"]["validated_state"]["message"] = message
    return decode(orjson.dumps(event))


def _related(role: str, name: str) -> dict[str, str]:
    labels = {"prefect.resource.role": role, "prefect.resource.name": name}
    return {"prefect.resource.id": f"prefect.{role}.{uuid5(_IDS, name)}", **labels}


def judged(minute: float, run: str, status: VerdictStatus, *, like: Event) -> Event:
    """Return that a verdict was given about a run that belongs to what another event's run belongs to."""
    state = State(type=StateType.RUNNING, name="Running")
    ruling = Ruling(status=status, reason="heartbeat_missing", since=at(minute), state=state, run_count=1)
    return decode(verdict("default", run_id(run), ruling, anchor=int(minute), occurred=at(minute), newest=like))


def told(engine: Engine, events: Iterable[Event], *, until: float) -> list[Said]:
    """Return what is said while events occur, and time passes."""
    return [said(alert) for alert in alerts(engine, events, until=until)]


def alerts(engine: Engine, events: Iterable[Event], *, until: float) -> Iterator[Alert]:
    """Yield the alerts while events occur, and time passes between them."""
    for seq, event in zip(count(1), events, strict=False):
        engine.pass_time(event.occurred)
        engine.take(Record(seq, "default", event))
    engine.pass_time(at(until))
    yield from (alert for _, alert in engine.changes().alerts)


def said(alert: Alert) -> Said:
    """Return an alert in few words."""
    situation = alert.situation
    minute = (alert.occurred - NOON) / timedelta(minutes=1)
    return Said(minute, situation.status, situation.reason, situation.occurrences)
