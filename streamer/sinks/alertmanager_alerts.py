"""Pure: a record as Alertmanager's API has an alert.

An alert is known there by its labels. So they hold only what cannot change between the first word of an incident and
the last: what the rule's grouping makes sure of, and never the run, unless the rule tells runs apart.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from schemas import Alert, Event
from schemas.alert import AlertStatus, Situation
from streamer.alert_message import headline, message, owners, plain
from streamer.model import Record
from streamer.surroundings import RunDetails

Json = dict[str, Any]

_ALL = ("flow", "deployment", "work_pool", "work_queue", "owner")
_SURE: Mapping[str, tuple[str, ...]] = {
    "run": _ALL,
    "deployment": _ALL,
    "flow": ("flow", "owner"),
    "work-pool": ("work_pool",),
    "work-queue": ("work_pool", "work_queue"),
}
"""Labels by what a rule tells apart."""


def as_alert(record: Record, *, labels: Mapping[str, str], details: RunDetails, link: str | None) -> Json:
    """Return the alert; of a record that is none, one that ends when nobody repeats it."""
    event = record.event
    situation = event.situation if isinstance(event, Alert) else None
    own = _labels(record, situation)
    alert: Json = {
        "labels": {**labels, **{name: plain(value) for name, value in own.items()}},
        "annotations": {
            "summary": headline(record),
            "description": message(record, details=details, link=link),
            "id": str(event.id),
        },
        "startsAt": situation.since if situation else event.occurred,
    }
    if situation and situation.status is AlertStatus.RESOLVED:
        alert["endsAt"] = max(situation.since, situation.until or event.occurred)
    return {**alert, "generatorURL": link} if link else alert


def _labels(record: Record, situation: Situation | None) -> dict[str, str]:
    known = dict(_known(record.event))
    if situation is None:
        return {"alertname": record.event.name, "severity": "info", "source": record.source, **known}
    sure = _SURE.get(situation.group.partition(":")[0], ())
    return {
        "alertname": situation.rule,
        "severity": situation.severity,
        "source": record.source,
        "group": situation.group,
        **{name: value for name, value in known.items() if name in sure},
    }


def _known(event: Event) -> Iterator[tuple[str, str]]:
    parties = {
        "flow": event.flow,
        "deployment": event.deployment,
        "work_pool": event.work_pool,
        "work_queue": event.work_queue,
    }
    yield from ((name, party.name or party.id) for name, party in parties.items() if party)
    if found := owners(event):
        yield "owner", ",".join(found)
