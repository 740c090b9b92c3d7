"""Pure: records and time in, alerts out, one incident at a time in each group of each rule."""

from collections import Counter as Tally
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from heapq import heapify, heappop, heappush
from itertools import count
from uuid import UUID

from schemas import Alert
from schemas.alert import AlertStatus, about
from streamer.alerts.facts import Facts, Group, Incident, Key, Sign
from streamer.alerts.incidents import Occurrence, as_alert, begun, gone_on, of_run
from streamer.alerts.quiet import quiet_until
from streamer.alerts.rule import Found, Rule, is_deletion
from streamer.alerts.silences import Silence, silenced_until
from streamer.model import Record

REMEMBERED = timedelta(days=1)
"""So long after its last record a group is remembered of which there is nothing to remember but that all was well."""

SPARE = 1_000
"""So many times that mean nothing any more may wait in the queue, beside those that do."""


class Action(StrEnum):
    """What became of a sign that something goes wrong, or of an incident."""

    FIRED = "fired"
    DEDUPLICATED = "deduplicated"
    RESOLVED = "resolved"
    SILENCED = "silenced"


@dataclass(slots=True)
class Changes:
    """What has changed: alerts in order with their source, groups (None: nothing to remember), and what was done."""

    alerts: list[tuple[str, Alert]] = field(default_factory=list)
    groups: dict[Key, Group | None] = field(default_factory=dict)
    actions: Tally[tuple[str, str, Action]] = field(default_factory=Tally)

    def __bool__(self) -> bool:
        return bool(self.alerts or self.groups or self.actions)


Sees = Callable[[str], bool]
"""Whether all that has occurred in a source is known, so that time tells something."""


def _all(_: str) -> bool:
    return True


class Engine:
    """All groups of all rules. Records come in the order of the log; time is told when all that occurred is known."""

    def __init__(self, rules: Mapping[str, Rule], groups: Mapping[Key, Group] | None = None) -> None:
        self.rules = rules
        self._groups: dict[Key, Group] = {}
        self.silences: Sequence[Silence] = ()
        self._due: dict[Key, datetime] = {}
        self._queue: list[tuple[datetime, Key]] = []
        self._changes = Changes()
        for key, group in (groups or {}).items():
            self._remember(key, group)

    def changes(self) -> Changes:
        """Return what has changed since this was asked last."""
        changes, self._changes = self._changes, Changes()
        return changes

    @property
    def has_changed(self) -> bool:
        """Tell whether there is something that `changes` would return."""
        return bool(self._changes)

    def change(self, rules: Mapping[str, Rule], now: datetime) -> None:
        """Go by these rules from now on."""
        self.rules = rules
        self.forget_old(now)
        for key, group in list(self._groups.items()):
            self._remember(key, group)  # other rules have other dues
        self.silence(self.silences, now)  # and other quiet times

    def firing(self) -> Iterator[tuple[Key, Incident]]:
        """Yield what goes on."""
        return ((key, group.incident) for key, group in self._groups.items() if group.incident)

    def announced(self) -> Iterator[tuple[str, Alert]]:
        """Yield what was said last of all that goes on, with its source."""
        for key, incident in self.firing():
            if incident.announced and incident.announced_at:
                number = incident.announced - 1
                yield key.source, as_alert(key, incident, AlertStatus.FIRING, incident.announced_at, number=number)

    def take(self, record: Record) -> None:
        """Take note of a record."""
        for key in list(self._about(record)):
            self._take(key, self.rules[key.rule], record)

    def due(self) -> datetime | None:
        """Return when time alone will tell something."""
        while self._queue and self._due.get(self._queue[0][1]) != self._queue[0][0]:
            heappop(self._queue)
        return self._queue[0][0] if self._queue else None

    def suspects(self, now: datetime, sees: Sees = _all) -> Mapping[Key, Collection[UUID]]:
        """Return the runs of which time tells something now, if they still are what we take them for."""
        keys = [key for key, due in self._due.items() if due <= now and key.rule in self.rules and sees(key.source)]
        return {key: runs for key in keys if (runs := self.rules[key.rule].suspects(self._groups[key].facts, now))}

    def forget(self, key: Key, runs: Collection[UUID]) -> None:
        """Forget runs that are not what we took them for."""
        facts = self.rules[key.rule].without(self._groups[key].facts, runs)
        self._keep(key, self._groups[key].model_copy(update={"facts": facts}))

    def pass_time(self, now: datetime, *, steps: int | None = None, sees: Sees = _all) -> bool:
        """Find what is so because it is so late, the earliest first; tell whether it takes more `steps` than these."""
        unseen: list[tuple[datetime, Key]] = []
        try:
            for _ in count() if steps is None else range(steps):
                while (due := self.due()) and due <= now and not sees(self._queue[0][1].source):
                    unseen.append(heappop(self._queue))
                if due is None or due > now:
                    return False
                key = self._queue[0][1]
                before = self._groups[key]
                self._pass(key, due)
                if self._groups.get(key) is before:
                    del self._due[key]  # time has told what it can
        finally:
            for each in unseen:
                heappush(self._queue, each)
        return True

    def catch_up(self, now: datetime, sees: Sees = _all) -> None:
        """Have what was to be said again, perhaps many times, while nobody looked, be said once, and now."""
        for key, incident in list(self.firing()):
            due = self._announcement_due(key, incident) if incident.announced else None
            if due and due < now and sees(key.source):
                self._keep_incident(key, incident.model_copy(update={"held_until": now}))

    def silence(self, silences: Iterable[Silence], now: datetime) -> None:
        """Take these silences for those that there are; what another one held back is due now."""
        self.silences = tuple(silences)
        for key, incident in list(self.firing()):
            if incident.held_until:
                again = min(incident.held_until, max(now, incident.since))
                self._keep_incident(key, incident.model_copy(update={"held_until": again}))

    def announce(self, now: datetime) -> None:
        """Say of what goes on what is due, and not held back."""
        for key, _ in list(self.firing()):
            self._announce(key, now)

    def forget_old(self, now: datetime) -> None:
        """Forget groups of which there is nothing to remember, and end what was found by rules that are no more.

        A rule that looks for something else than the one that had its name is another one.
        """
        for key, group in list(self._groups.items()):
            rule = self.rules.get(key.rule)
            if rule is None or rule.fingerprint != group.fingerprint:
                self._resolve(key, now)
                self._keep(key, None)
            elif _is_idle(group) and key not in self._due and group.touched and group.touched < now - REMEMBERED:
                self._keep(key, None)

    def _about(self, record: Record) -> Iterator[Key]:
        """Yield the groups that a record tells something about: that a run was deleted tells no more than its id."""
        if is_deletion(record.event):
            run = record.event.run_id
            known = ((key, group.facts) for key, group in self._groups.items())
            yield from (key for key, facts in known if run in facts.waiting or run in facts.overdue)
            return
        for name, rule in self.rules.items():
            group = rule.group.of(record.event)
            if group is not None and rule.looks_at(record):
                yield Key(name, record.source, group)

    def _take(self, key: Key, rule: Rule, record: Record) -> None:
        group, at = self._group(key), record.event.occurred
        found = rule.take(group.facts, record)
        tells = found.sign is not Sign.NEITHER or found.facts is not group.facts
        if tells and not (rule.in_order and _is_outdated(group, found.sign, at)):
            self._find(key, found, at, record)

    def _pass(self, key: Key, due: datetime) -> None:
        rule, group = self.rules[key.rule], self._group(key)
        found = rule.passed(group.facts, due, firing=group.incident is not None)
        if found.facts is not group.facts or found.sign is not Sign.NEITHER:
            self._find(key, found, found.at or due, None)
        incident = self._group(key).incident
        if incident and rule.resolve_after and incident.last + rule.resolve_after <= due:
            self._resolve(key, due)
        self._announce(key, due)

    def _find(self, key: Key, found: Found, at: datetime, record: Record | None) -> None:
        group = self._group(key)
        whom = about(record.event) if record and not is_deletion(record.event) else group.about
        touched = max(at, group.touched or at)
        self._keep(key, group.model_copy(update={"facts": found.facts, "about": whom, "touched": touched}))
        if found.sign is Sign.BAD:
            assert whom
            overdue = found.facts.overdue[found.run] if found.run else None
            if found.run and overdue:
                whom = of_run(found.run, overdue.name, whom)
            reason, event = self.rules[key.rule].reason(found.facts, record), record.event if record else None
            self._go_wrong(key, Occurrence(reason, at, whom, event, overdue.event if overdue else None))
        elif found.sign is Sign.GOOD:
            self._resolve(key, at)
            if record:
                self._note_that_all_is_well(key, at)
        self._announce(key, at)

    def _go_wrong(self, key: Key, occurrence: Occurrence) -> None:
        incident = self._group(key).incident
        if incident:
            self._count(key, Action.DEDUPLICATED)
            self._keep_incident(key, gone_on(incident, occurrence))
        else:
            self._keep_incident(key, begun(key, self.rules[key.rule].severity, occurrence))

    def _resolve(self, key: Key, at: datetime) -> None:
        group = self._group(key)
        if (incident := group.incident) and incident.announced:
            self._say(key, as_alert(key, incident, AlertStatus.RESOLVED, max(at, incident.since)))
            self._count(key, Action.RESOLVED)
        self._keep(key, group.model_copy(update={"incident": None}))

    def _note_that_all_is_well(self, key: Key, at: datetime) -> None:
        group = self._group(key)
        self._keep(key, group.model_copy(update={"good": max(at, group.good or at)}))

    def _announce(self, key: Key, at: datetime) -> None:
        """Say that an incident goes on if it is time to, and nobody wants to be left alone."""
        incident = self._group(key).incident
        if incident is None or (due := self._announcement_due(key, incident)) is None or at < due:
            return
        news = as_alert(key, incident, AlertStatus.FIRING, at)
        if until := self._held_until(key, news):
            if not incident.announced and not incident.held_until:
                self._count(key, Action.SILENCED)
            self._keep_incident(key, incident.model_copy(update={"held_until": until}))
            return
        self._say(key, news)
        if not incident.announced:
            self._count(key, Action.FIRED)
        said = {"announced": incident.announced + 1, "announced_at": at, "held_until": None}
        self._keep_incident(key, incident.model_copy(update=said))

    def _announcement_due(self, key: Key, incident: Incident) -> datetime | None:
        """Return when it is to be said that an incident goes on; None if it has been said for good."""
        if incident.announced_at is None:
            return incident.held_until or incident.since
        repeat = self.rules[key.rule].repeat
        return max(incident.announced_at + repeat, incident.held_until or incident.announced_at) if repeat else None

    def _held_until(self, key: Key, news: Alert) -> datetime | None:
        rule = self.rules[key.rule]
        quiet = quiet_until(rule.quiet, news.occurred, rule.zone)
        silenced = silenced_until(self.silences, Record(0, key.source, news))
        return max((until for until in (quiet, silenced) if until), default=None)

    def _say(self, key: Key, news: Alert) -> None:
        self._changes.alerts.append((key.source, news))

    def _count(self, key: Key, action: Action) -> None:
        self._changes.actions[key.rule, key.source, action] += 1

    def _group(self, key: Key) -> Group:
        return self._groups.get(key) or Group(fingerprint=self.rules[key.rule].fingerprint)

    def _keep_incident(self, key: Key, incident: Incident) -> None:
        self._keep(key, self._group(key).model_copy(update={"incident": incident}))

    def _keep(self, key: Key, group: Group | None) -> None:
        if group and group.about and _is_idle(group):
            group = group.model_copy(update={"about": None})
        self._changes.groups[key] = group
        self._remember(key, group)

    def _remember(self, key: Key, group: Group | None) -> None:
        if group is None:
            self._groups.pop(key, None)
            self._due.pop(key, None)
            return
        self._groups[key] = group
        due = self._due_of(key, group)
        if due is None:
            self._due.pop(key, None)
        elif due != self._due.get(key):
            self._due[key] = due
            heappush(self._queue, (due, key))
            self._drop_what_is_due_no_more()

    def _drop_what_is_due_no_more(self) -> None:
        if len(self._queue) > 2 * len(self._due) + SPARE:
            self._queue = [(due, key) for key, due in self._due.items()]
            heapify(self._queue)

    def _due_of(self, key: Key, group: Group) -> datetime | None:
        if (rule := self.rules.get(key.rule)) is None:
            return None
        dues = [rule.due(group.facts, firing=group.incident is not None)]
        if incident := group.incident:
            dues.append(self._announcement_due(key, incident))
            dues.append(incident.last + rule.resolve_after if rule.resolve_after else None)
        return min((due for due in dues if due), default=None)


def _is_outdated(group: Group, sign: Sign, at: datetime) -> bool:
    """Tell whether what is found is known to have changed since."""
    if sign is Sign.GOOD:
        return group.incident is not None and at < group.incident.last
    return group.good is not None and at < group.good


def _is_idle(group: Group) -> bool:
    return group.incident is None and group.facts == Facts()
