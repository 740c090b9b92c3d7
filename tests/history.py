"""Random histories of a few runs, played to a fake server, and what must be known of them in the end."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, TypeVar
from uuid import UUID

from schemas.flow_run import HEARTBEAT_NAME
from streamer.model import Family
from streamer.testing import FakePrefect, an_event
from streamer.timestamps import to_micros

K = TypeVar("K")
V = TypeVar("V")

ENDED = frozenset({"COMPLETED", "FAILED", "CANCELLED", "CRASHED"})

WAYS: dict[str | None, Sequence[str]] = {
    None: ("PENDING", "SCHEDULED", "SCHEDULED"),
    "SCHEDULED": ("PENDING", "PENDING", "SCHEDULED"),
    "PENDING": ("RUNNING", "RUNNING", "RUNNING", "CRASHED"),
    "RUNNING": ("COMPLETED", "COMPLETED", "FAILED", "CRASHED", "PAUSED", "CANCELLING", "SCHEDULED"),
    "PAUSED": ("RUNNING", "FAILED"),
    "CANCELLING": ("CANCELLED",),
    "FAILED": ("SCHEDULED", ""),
    "CRASHED": ("COMPLETED", "", ""),
}
"""Where a run goes from each state; nowhere where nothing is named."""

AWAITING_RETRY = "AwaitingRetry"

FLOW = "00000000-0000-4000-8000-00000000f104"
"""The flow of `an_event`."""


@dataclass(frozen=True, slots=True)
class Step:
    """What happens to a run: the entry into a state, or a heartbeat where there is none; `at` is in seconds.

    Of a state that is `rolled_back` there is an event, and nothing else.
    """

    at: float
    run: str
    late: float
    before: str | None = None
    after: str | None = None
    attempt: int = 0
    silent: bool = False
    rolled_back: bool = False


def plan(random: Random, *, seconds: float, rolled_back: float) -> list[Step]:
    """Return the steps of some runs, in order, over so many seconds; some runs are told of late.

    A share of the states, `rolled_back`, are so at first, and entered again at once.
    """
    runs = (str(UUID(int=random.getrandbits(128), version=4)) for _ in range(random.randint(3, 6)))
    steps = sorted((step for run in runs for step in _walk(run, random, seconds)), key=lambda step: step.at)
    return [each for step in steps for each in _tries(step, random, rolled_back)]


def _tries(step: Step, random: Random, rolled_back: float) -> Iterable[Step]:
    if random.random() < rolled_back and step.after and not step.silent:
        yield replace(step, rolled_back=True)
    yield step


def _walk(run: str, random: Random, seconds: float) -> Iterable[Step]:
    at, before, attempt = random.uniform(0, seconds * 0.8), None, 0
    late = random.choice((0.0, 0.0, 0.0, random.uniform(0, 0.5)))
    by_the_scheduler = random.random() < 0.3
    while at < seconds and (after := random.choice(WAYS.get(before, ("",)))):
        attempt += after == "RUNNING"
        silent = by_the_scheduler and before is None and after == "SCHEDULED"
        yield Step(at, run, late, before, after, attempt, silent)
        for _ in range(random.randint(0, 3) if after == "RUNNING" else 0):
            at += random.uniform(0.001, seconds / 30)
            yield Step(at, run, late)
        before, at = after, at + random.uniform(0.001, seconds / 10)


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a history: ids of transitions, those said to have been rolled back, counters, shown states."""

    ids: list[str]
    rolled_back: set[str]
    counts: dict[tuple[str, ...], int]
    shown: dict[str, tuple[str, str]]


@dataclass
class Truth:
    """What happened, as it was played.

    What REST has no event of, only the tables tell, and only if they are asked; but not even they have to tell of the
    first `Scheduled` of a run, which the scheduler announces to nobody.
    """

    tables_tell: bool
    transitions: dict[str, dict[str, Any]] = field(default_factory=dict)
    rolled_back: dict[str, dict[str, Any]] = field(default_factory=dict)
    beats: set[tuple[str, int]] = field(default_factory=set)
    unannounced: set[str] = field(default_factory=set)
    last: dict[str, dict[str, Any]] = field(default_factory=dict)

    async def play(self, steps: Iterable[Step], server: FakePrefect) -> None:
        """Let the steps happen on the server, each in its time after the first."""
        begun, first = asyncio.get_running_loop().time(), None
        for step in steps:
            first = step.at if first is None else first
            await asyncio.sleep(begun + step.at - first - asyncio.get_running_loop().time())
            self._publish(step, server)

    def _publish(self, step: Step, server: FakePrefect) -> None:
        occurred = datetime.now(UTC) - timedelta(seconds=step.late)
        if step.after is None:
            resource = {"prefect.resource.id": f"prefect.flow-run.{step.run}"}
            server.publish(an_event(event=HEARTBEAT_NAME, resource=resource, payload={}, occurred=occurred))
            self.beats.add((step.run, to_micros(occurred)))
            return
        event = self._transition(step, occurred)
        if step.rolled_back:
            self.rolled_back[event["id"]] = event
            server.publish(event, rolled_back=True)
            return
        self.transitions[event["id"]] = self.last[step.run] = event
        server.publish(event, live=not step.silent, stored=not step.silent)
        is_lost = event["id"] in server.faults.lost
        is_scheduled = step.before is None and step.after == "SCHEDULED"
        if step.silent or (is_lost and (is_scheduled or not self.tables_tell)):
            self.unannounced.add(event["id"])

    def _transition(self, step: Step, occurred: datetime) -> dict[str, Any]:
        before, name = self.last.get(step.run), _name_of(step)
        event = an_event(run=step.run, before=step.before, after=str(step.after), occurred=occurred)
        event["event"] = f"prefect.flow-run.{name}"
        event["resource"] |= {"prefect.run-count": str(step.attempt), "prefect.state-name": name}
        event["payload"]["validated_state"]["name"] = name
        event["payload"]["initial_state"] = before and before["payload"]["validated_state"]
        event["follows"] = before and before["id"]
        return event

    def runs(self) -> set[str]:
        return set(self.last)

    def announced(self) -> set[str]:
        """Return the ids that must be known."""
        return self.transitions.keys() - self.unannounced

    def differences(self, known: Known, epoch: datetime) -> list[str]:
        """Return what is not as it is in truth, a line each."""
        true = self._known(set(known.ids), epoch)
        ours, theirs = Counter(known.ids), Counter(true.ids)
        return [
            *(f"lost: {self._told(ident)}" for ident in (theirs - ours).elements()),
            *(f"invented: {ident}" for ident in (ours - theirs).elements()),
            *(f"not said to be rolled back: {self._told(ident)}" for ident in true.rolled_back - known.rolled_back),
            *(f"said to be rolled back: {ident}" for ident in known.rolled_back - true.rolled_back),
            *_unlike(true.counts, known.counts),
            *_unlike(true.shown, known.shown),
        ]

    def _known(self, ids: set[str], epoch: datetime) -> Known:
        """Return what must be known; of what need not be, that which is among the ids."""
        wanted, rolled_back = self.announced() | (self.unannounced & ids), self.rolled_back.keys() & ids
        events = [event for ident, event in self.transitions.items() if ident in wanted]
        told = [*events, *(self.rolled_back[ident] for ident in rolled_back)]
        counted = [each for each in told if datetime.fromisoformat(each["occurred"]) >= epoch]
        counts = Counter(counter for event in counted for counter in _counted(event["payload"]))
        counts += Counter((Family.PHANTOMS, "") for event in counted if event["id"] in rolled_back)
        return Known(sorted(wanted | rolled_back), rolled_back, dict(counts), dict(map(_shown, events)))

    def _told(self, ident: str) -> str:
        event = {**self.transitions, **self.rolled_back}[ident]
        between = event["payload"]["intended"]
        run = event["resource"]["prefect.resource.name"]
        return f"{ident}, {between['from']} → {between['to']} of {run} at {event['occurred']}"


def _unlike(true: Mapping[K, V], ours: Mapping[K, V]) -> Iterator[str]:
    """Yield a line for each key that has another value with us than in truth."""
    for key in true.keys() | ours.keys():
        if true.get(key) != ours.get(key):
            yield f"{key}: {ours.get(key)}, in truth {true.get(key)}"


def _shown(event: dict[str, Any]) -> tuple[str, tuple[str, str]]:
    """Return the run that an event is about, and the state that it brought, by id and name."""
    resource = event["resource"]
    return resource["prefect.resource.id"].rpartition("flow-run.")[2], (event["id"], resource["prefect.state-name"])


def _name_of(step: Step) -> str:
    """Return the new state's name, as Prefect would choose it."""
    if step.after == "SCHEDULED" and step.before:
        return "Late" if step.before == "SCHEDULED" else AWAITING_RETRY
    return str(step.after).capitalize()


def _counted(payload: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    before, after = payload["intended"]["from"], payload["intended"]["to"]
    yield (Family.TRANSITIONS, FLOW, before or "", after)
    if after in ENDED and before not in ENDED:
        yield (Family.FINISHED, FLOW, after)
    if payload["validated_state"]["name"] == AWAITING_RETRY:
        yield (Family.RETRIES, FLOW)
