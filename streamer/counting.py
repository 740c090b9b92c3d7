"""Pure: an event → the counters it raises by one; a time that was measured → the histogram's counters it raises.

A counter is raised if and only if the event's id was new and it occurred at or after the source's epoch; the store
sees to both, in the transaction that keeps the event.
"""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from schemas import Event, Heartbeat, Notice, PullStep, StateType, Transition, Verdict
from schemas.errors import Reason as InvalidReason
from schemas.event import Party
from schemas.ours import NoticeAbout, VerdictStatus
from streamer.measuring import Measure
from streamer.model import Counter, Family, RunState
from streamer.runs import AWAITING_RETRY
from streamer.suspicion import Reason

USUAL_TRANSITIONS: tuple[tuple[str, str], ...] = (
    ("", "SCHEDULED"),
    ("", "PENDING"),
    ("SCHEDULED", "PENDING"),
    ("SCHEDULED", "SCHEDULED"),
    ("PENDING", "PENDING"),
    ("PENDING", "RUNNING"),
    ("PENDING", "CRASHED"),
    ("RUNNING", "COMPLETED"),
    ("RUNNING", "FAILED"),
    ("RUNNING", "CRASHED"),
    ("RUNNING", "CANCELLING"),
    ("CANCELLING", "CANCELLED"),
    ("RUNNING", "SCHEDULED"),
    ("SCHEDULED", "RUNNING"),
)
"""Shown at 0 as soon as a deployment is known: a counter born at 1 shows no `increase()`."""

TERMINAL_STATES: tuple[str, ...] = tuple(each.value for each in StateType if each.is_terminal)

DURATION_BUCKETS = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0, 43200.0, 86400.0)
QUEUE_WAIT_BUCKETS = (0.5, 1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)

BEFORE_IT_RAN = "infrastructure"
"""The step at which a run failed that crashed before it ran."""

STATE_NAME, WORK_QUEUE, TAG = "state_name", "work_queue", "tag_"

INFINITE = "+Inf"


@dataclass(frozen=True)
class Counting:
    """What is told apart besides flow, deployment and work pool, and the upper bounds of buckets in seconds.

    `more` may hold `work_queue`, `state_name` (of transitions and ends), and `tag_<key>` for tags such as `key:value`.
    """

    more: tuple[str, ...] = ()
    duration_buckets: tuple[float, ...] = DURATION_BUCKETS
    queue_wait_buckets: tuple[float, ...] = QUEUE_WAIT_BUCKETS

    def raised_by_all(self, source: str, events: Iterable[Event]) -> Iterator[tuple[Counter, int, Event]]:
        """Yield the counters that these events raise, by how much, and an event that does, the last of those alike."""
        groups: defaultdict[Hashable, list[Event]] = defaultdict(list)
        for event in events:
            groups[self._alike(event)].append(event)
        for group in groups.values():
            for counter in self.raised(source, group[-1]):
                yield counter, len(group), group[-1]

    def _alike(self, event: Event) -> Hashable:
        """Return what the event's counters depend on: they are looked up once for all events of which it is equal."""
        more = tuple(self._of_event(event)) if self.more else ()
        match event:
            case Transition():
                return (*_ids(event), more, event.from_type, event.to_type, event.after.name)
            case Heartbeat():
                return (*_ids(event), more)
            case _:
                return event.id

    def raised(self, source: str, event: Event) -> Iterator[Counter]:
        """Yield the counters that this event raises by one each."""
        if not self.more:
            yield from raised(source, event)
            return
        more = tuple(self._of_event(event))
        for counter in raised(source, event):
            yield counter if counter.family is Family.PHANTOMS else counter._replace(more=more)

    def bucket(self, run: RunState, measure: Measure) -> Counter | None:
        """Return the bucket that a measured time falls into; None if its histogram is switched off."""
        bounds = self.duration_buckets if measure.family is Family.DURATION else self.queue_wait_buckets
        if not bounds:
            return None
        place = bisect_left(bounds, measure.seconds)
        bound = repr(bounds[place]) if place < len(bounds) else INFINITE
        parties = (run.flow or "", run.deployment or "", run.work_pool or "")
        return Counter(measure.family, run.source, *parties, (*measure.labels, bound), tuple(self._of_run(run)))

    def _of_event(self, event: Event) -> Iterator[tuple[str, str]]:
        values = {**_values_of(event.tags), WORK_QUEUE: event.work_queue.id if event.work_queue else ""}
        if isinstance(event, Transition):
            values[STATE_NAME] = event.after.name
        yield from ((name, values[name]) for name in self.more if values.get(name))

    def _of_run(self, run: RunState) -> Iterator[tuple[str, str]]:
        values = {**_values_of(run.tags), WORK_QUEUE: run.work_queue or ""}
        yield from ((name, values[name]) for name in self.more if values.get(name))


def sum_of(bucket: Counter) -> Counter:
    """Return the counter of the sum that belongs to a bucket."""
    family = Family.DURATION_SUM if bucket.family is Family.DURATION else Family.QUEUE_WAIT_SUM
    return bucket._replace(family=family, labels=bucket.labels[:-1])


def label_of(tag_key: str) -> str:
    """Return the label for tags with this key."""
    return TAG + re.sub(r"\W", "_", tag_key)


def _values_of(tags: tuple[str, ...]) -> dict[str, str]:
    """Return by label the values of tags such as `key:value`; several of one key are joined."""
    pairs = sorted((label_of(key), value) for key, colon, value in (tag.partition(":") for tag in tags) if colon)
    return {label: ",".join(value for _, value in group) for label, group in groupby(pairs, key=lambda pair: pair[0])}


def raised(source: str, event: Event) -> Iterator[Counter]:
    """Yield the counters that this event raises by one each, nothing told apart besides the usual."""
    match event:
        case Transition():
            yield from _of_transition(source, event)
        case PullStep(failed=True):
            yield _about(Family.INFRA_FAILURES, source, event, event.step or "")
        case Heartbeat():
            yield _about(Family.HEARTBEATS, source, event)
        case Verdict():
            yield from _of_verdict(source, event)
        case Notice(about=NoticeAbout.PHANTOM):
            yield Counter(Family.PHANTOMS, source)
        case _:
            return


def beginning(counter: Counter) -> Counter:
    """Return what all counters have in common that are to be shown at 0 as soon as this one is known."""
    return counter._replace(labels=(), more=tuple(each for each in counter.more if each[0] != STATE_NAME))


def initial(beginning: Counter) -> Iterator[Counter]:
    """Yield the counters to show at 0 for the same flow, deployment and work pool, as soon as a transition is known."""
    if beginning.family is not Family.TRANSITIONS:
        return
    for pair in USUAL_TRANSITIONS:
        yield beginning._replace(labels=pair)
    for state in TERMINAL_STATES:
        yield beginning._replace(family=Family.FINISHED, labels=(state,))
    for family in (Family.RETRIES, Family.ZOMBIES, Family.ZOMBIE_RECOVERIES):
        yield beginning._replace(family=family, labels=())


def initial_of(source: str) -> Iterator[Counter]:
    """Yield the counters of a source to show at 0."""
    for reason in InvalidReason:
        yield Counter(Family.QUARANTINED, source, labels=(reason.value,))
    yield Counter(Family.PHANTOMS, source)


def names(events: Iterable[Event]) -> Mapping[str, tuple[datetime, str]]:
    """Return the newest names that events tell of the ids in their counters' keys, and when they were told."""
    told: dict[tuple[Party | None, ...], datetime] = {}
    for event in events:
        parties: tuple[Party | None, ...] = (event.flow, event.deployment, event.work_pool, event.work_queue)
        told[parties] = max(told.get(parties, event.occurred), event.occurred)
    newest: dict[str, tuple[datetime, str]] = {}
    for parties, moment in told.items():
        for party in parties:
            if party and party.name:
                newest[party.id] = max(newest.get(party.id, (moment, party.name)), (moment, party.name))
    return newest


def _of_transition(source: str, event: Transition) -> Iterator[Counter]:
    yield _about(Family.TRANSITIONS, source, event, event.from_type or "", event.to_type.value)
    if event.is_finish:
        yield _about(Family.FINISHED, source, event, event.to_type.value)
    if event.to_type is StateType.SCHEDULED and event.after.name == AWAITING_RETRY:
        yield _about(Family.RETRIES, source, event)
    if event.from_type is StateType.PENDING and event.to_type is StateType.CRASHED:
        yield _about(Family.INFRA_FAILURES, source, event, BEFORE_IT_RAN)


def _of_verdict(source: str, event: Verdict) -> Iterator[Counter]:
    match event.ruling.status:
        case VerdictStatus.ZOMBIE:
            yield _about(Family.ZOMBIES, source, event)
        case VerdictStatus.SUSPECT | VerdictStatus.OVERDUE:
            yield _about(Family.OVERDUE, source, event, event.ruling.reason)
        case VerdictStatus.RECOVERED if event.ruling.reason == Reason.HEARTBEAT:
            yield _about(Family.ZOMBIE_RECOVERIES, source, event)


def _about(family: Family, source: str, event: Event, *labels: str) -> Counter:
    return Counter(family, source, *_ids(event), tuple(str(label) for label in labels))


def _ids(event: Event) -> tuple[str, str, str]:
    flow, deployment, pool = event.flow, event.deployment, event.work_pool
    return (flow.id if flow else "", deployment.id if deployment else "", pool.id if pool else "")
