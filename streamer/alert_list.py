"""What fires now, and who is not told of what: as a running service knows it, or as its store tells."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from schemas.alert import AlertStatus
from streamer.alerts.engine import Engine
from streamer.alerts.facts import Group, Incident, Key
from streamer.alerts.grouping import name_of
from streamer.alerts.incidents import as_alert
from streamer.alerts.quiet import quiet_until
from streamer.alerts.silences import Silence, silenced_until
from streamer.config import Settings
from streamer.core import Core
from streamer.model import Record
from streamer.store.sql import SqlStore

Link = Callable[[Record], str | None]


@dataclass(frozen=True, slots=True)
class ListedRun:
    """A run by name, and the address of the page about it."""

    id: UUID
    name: str | None
    link: str | None


@dataclass(frozen=True, slots=True)
class ListedAlert:
    """Something that goes wrong: `name` is how people call the `group`, `run` the newest of so many that it is about.

    It was `announced` so many times, last at `announced_at`; nothing new is said of it until `silenced_until` and
    `quiet_until`.
    """

    incident: UUID
    rule: str
    severity: str
    source: str
    group: str
    name: str
    reason: str
    since: datetime
    last: datetime
    occurrences: int
    run: ListedRun
    announced: int
    announced_at: datetime | None
    silenced_until: datetime | None
    quiet_until: datetime | None


def running_alerts(core: Core) -> list[ListedAlert]:
    """Return what fires in a service, the newest first."""
    return listed(core.alerting.engine, now=core.clock.now(), link=core.settings.surroundings.link)


async def stored_alerts(store: SqlStore, settings: Settings, *, now: datetime) -> list[ListedAlert]:
    """Return what fired when the store was written last, the newest first."""
    groups = {Key(*key): Group.model_validate_json(body) for key, body in (await store.remembered()).items()}
    engine = Engine(settings.alerts, groups)
    engine.silences = await silences(store, now=now)
    return listed(engine, now=now, link=settings.surroundings.link)


async def silences(store: SqlStore, *, now: datetime) -> list[Silence]:
    """Return the silences that have not ended, first those that end first."""
    found = [Silence.model_validate_json(body) for body in (await store.silences()).values()]
    return sorted((each for each in found if each.ends > now), key=lambda each: each.ends)


def listed(engine: Engine, *, now: datetime, link: Link) -> list[ListedAlert]:
    """Return what fires, the newest first."""
    found = [_listed(engine, key, incident, now=now, link=link) for key, incident in engine.firing()]
    return sorted(found, key=lambda each: each.since, reverse=True)


def _listed(engine: Engine, key: Key, incident: Incident, *, now: datetime, link: Link) -> ListedAlert:
    news, rule = as_alert(key, incident, AlertStatus.FIRING, now), engine.rules.get(key.rule)
    record = Record(0, key.source, news)
    newest = incident.runs[-1]
    return ListedAlert(
        incident=incident.id,
        rule=key.rule,
        severity=incident.severity,
        source=key.source,
        group=key.group,
        name=name_of(key.group, news),
        reason=incident.reason,
        since=incident.since,
        last=incident.last,
        occurrences=incident.occurrences,
        run=ListedRun(newest.id, newest.name, link(record)),
        announced=incident.announced,
        announced_at=incident.announced_at,
        silenced_until=silenced_until(engine.silences, record),
        quiet_until=quiet_until(rule.quiet, now, rule.zone) if rule else None,
    )
