"""Alerts: our own events that something goes wrong by a rule, and that it is over."""

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID, uuid5

import orjson
from pydantic import AwareDatetime

from schemas.event import Event, Kind, Wire
from schemas.flow_run import FlowRunEvent, State

ALERT_PREFIX = "streamer.alert."

_NAMESPACE = UUID("c3b1f0a4-58e2-4f6d-9b57-6a1d2e903c48")


class AlertStatus(StrEnum):
    """Whether it goes on or is over."""

    FIRING = "firing"
    RESOLVED = "resolved"


class Concerned(Wire):
    """A run that an alert is about."""

    id: UUID
    name: str | None = None


class Situation(Wire):
    """An alert's content.

    All alerts about one `incident` have its id; `number` counts those that say it is firing, from 0. `group` is what
    the rule tells apart, such as `deployment:<id>`; `reason` is in words. It goes on `since` its first occurrence, of
    which there were so many `occurrences`, and was over at `until`; `runs` are those concerned, the newest 50, in
    order. `state` and `run_count` are of the newest.
    """

    status: AlertStatus
    rule: str
    severity: str
    incident: UUID
    number: int = 0
    group: str
    reason: str
    since: AwareDatetime
    until: AwareDatetime | None = None
    occurrences: int = 1
    runs: tuple[Concerned, ...] = ()
    state: State | None = None
    run_count: int | None = None


class AlertPayload(Wire):
    """The payload of an alert."""

    alert: Situation


class Alert(FlowRunEvent):
    """Something goes wrong by a rule, or is over; named `streamer.alert.<status>`, about the newest run concerned."""

    kind: ClassVar[Kind] = Kind.ALERT

    payload: AlertPayload

    @property
    def situation(self) -> Situation:
        """Return what the alert says."""
        return self.payload.alert


class About(Wire):
    """Whom an event is about, as it says so itself: its labels and its related resources."""

    resource: dict[str, Any]
    related: list[dict[str, Any]]


def about(event: Event) -> About:
    """Return whom an event is about."""
    told = orjson.loads(event.raw)
    return About(resource=told["resource"], related=told.get("related", []))


def incident_id(source: str, rule: str, group: str, anchor: object) -> UUID:
    """Return the id of an incident, which follows from what began it, so that finding it again is finding the same."""
    return uuid5(_NAMESPACE, f"{source} {rule} {group} {anchor}")


def alert(situation: Situation, whom: About, *, occurred: datetime) -> Alert:
    """Return the event of an alert; it belongs to what the run that it is about belongs to."""
    return Alert.model_validate_json(
        orjson.dumps(
            {
                "id": uuid5(situation.incident, f"{situation.status} {situation.number}"),
                "occurred": occurred,
                "received": None,
                "event": f"{ALERT_PREFIX}{situation.status}",
                "resource": whom.resource,
                "related": whom.related,
                "payload": {"alert": situation.model_dump(mode="json")},
                "follows": None,
            }
        )
    )
