"""Pure: an incident, from its first occurrence to what is said of it."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from schemas import Alert, Event, Transition, Verdict
from schemas.alert import About, AlertStatus, Concerned, Situation, alert, incident_id
from schemas.event import FLOW_RUN_PREFIX
from schemas.flow_run import State
from streamer.alerts.facts import Incident, Key

RUNS_NAMED = 50
MESSAGE_CUT = 2_000
NAME_CUT = 300


@dataclass(frozen=True, slots=True)
class Occurrence:
    """That something goes wrong: why, since when, about whom, and the `event` that tells it.

    If it was time that told, `waits` is the event since which it passed, if there is one.
    """

    reason: str
    at: datetime
    whom: About
    event: Event | None = None
    waits: UUID | None = None


def begun(key: Key, severity: str, first: Occurrence) -> Incident:
    """Return the incident that begins with an occurrence."""
    anchor = first.event.id if first.event else first.waits or first.at
    ident = incident_id(key.source, key.rule, key.group, anchor)
    runs = (_concerned(first.whom),)
    return Incident(id=ident, severity=severity, since=first.at, occurrences=1, runs=runs, **_newest(first))


def gone_on(incident: Incident, again: Occurrence) -> Incident:
    """Return the incident after another occurrence."""
    run = _concerned(again.whom)
    runs = (*(each for each in incident.runs if each.id != run.id), run)[-RUNS_NAMED:]
    update: dict[str, Any] = {"occurrences": incident.occurrences + 1, "runs": runs, **_newest(again)}
    update["last"] = max(incident.last, again.at)  # what is heard of late does not turn time back
    return incident.model_copy(update=update)


def as_alert(key: Key, incident: Incident, status: AlertStatus, at: datetime, *, number: int | None = None) -> Alert:
    """Return what is said of an incident: that it goes on, so many times before, or that it is over."""
    situation = Situation(
        status=status,
        rule=key.rule,
        severity=incident.severity,
        incident=incident.id,
        number=incident.announced if number is None else number,
        group=key.group,
        reason=incident.reason,
        since=incident.since,
        until=at if status is AlertStatus.RESOLVED else None,
        occurrences=incident.occurrences,
        runs=incident.runs,
        state=incident.state,
        run_count=incident.run_count,
    )
    return alert(situation, incident.about, occurred=at)


def of_run(run: UUID, name: str | None, others: About) -> About:
    """Return that something is about a run which belongs to what another of its group belongs to."""
    resource = {"prefect.resource.id": f"{FLOW_RUN_PREFIX}{run}", "prefect.resource.name": name}
    return About(resource={label: value for label, value in resource.items() if value}, related=others.related)


def _newest(occurrence: Occurrence) -> dict[str, Any]:
    state, run_count = _state(occurrence.event)
    return {
        "reason": occurrence.reason,
        "last": occurrence.at,
        "about": occurrence.whom,
        "state": state,
        "run_count": run_count,
    }


def _state(event: Event | None) -> tuple[State | None, int | None]:
    match event:
        case Transition():
            message = event.after.message and event.after.message[:MESSAGE_CUT]
            return replace(event.after, message=message), event.run_count
        case Verdict():
            return event.ruling.state, event.ruling.run_count
        case _:
            return None, None


def _concerned(whom: About) -> Concerned:
    run = UUID(whom.resource["prefect.resource.id"].removeprefix(FLOW_RUN_PREFIX))
    name = whom.resource.get("prefect.resource.name")
    return Concerned(id=run, name=name and name[:NAME_CUT])
