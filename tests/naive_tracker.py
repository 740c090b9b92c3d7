"""The tracker as it is meant: whatever was told of a run is kept, and each question goes through all of it.

It judges a sender's clock by all beats, so it agrees with the tracker as long as that clock is not set.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import NamedTuple
from uuid import UUID

from schemas import StateType
from schemas.ours import VerdictStatus
from streamer.liveness import Status
from streamer.suspicion import SECOND, Move, Reason, Standing, Suspicion

MINUTE = 60 * SECOND
HOUR = 60 * MINUTE

DWELLING = {
    (StateType.SCHEDULED, False): (Reason.SCHEDULED, HOUR),
    (StateType.SCHEDULED, True): (Reason.RETRY, 10 * MINUTE),
    (StateType.PENDING, False): (Reason.PENDING, HOUR),
    (StateType.CANCELLING, False): (Reason.CANCELLING, 10 * MINUTE),
}
"""How long a run may be in a state, or wait for a retry."""


class Beat(NamedTuple):
    """A heartbeat, and when we heard of it."""

    occurred: int
    received: int
    heard: int


class Due(NamedTuple):
    """When a scheduled run should start."""

    at: int


class Life(NamedTuple):
    """A sign of life, by the server's clock and by its sender's."""

    at: int
    anchor: int


@dataclass(frozen=True)
class Told:
    """What was told of a run since it first was or came back from its end, transitions that came too late left out."""

    all: tuple[Move | Beat | Due, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.all)

    def and_then(self, told: Move | Beat | Due) -> "Told":
        return Told((*self.all, told))

    @property
    def moves(self) -> list[Move]:
        return [each for each in self.all if isinstance(each, Move)]

    @property
    def state(self) -> Move:
        return self.moves[-1]

    @property
    def is_over(self) -> bool:
        return self.state.type.is_terminal

    @property
    def before_the_crash(self) -> "Told":
        """Return all but the crashes that it ends with."""
        number = len(self.all)
        while number and isinstance(last := self.all[number - 1], Move) and last.type is StateType.CRASHED:
            number -= 1
        return Told(self.all[:number])

    @property
    def attempt(self) -> int | None:
        return next((each.attempt for each in reversed(self.moves) if each.attempt is not None), None)

    @property
    def entry(self) -> Move:
        """Return the transition with which the run came into its state and attempt."""
        entry = self.moves[0]
        for before, after in pairwise(self.moves):
            is_other_attempt = None not in (before.attempt, after.attempt) and before.attempt != after.attempt
            is_retry = after.name == "AwaitingRetry" != before.name
            if before.type is not after.type or is_other_attempt or is_retry:
                entry = after
        return entry

    @property
    def in_state(self) -> tuple[Move | Beat | Due, ...]:
        entry = self.entry
        return self.all[next(number for number, each in enumerate(self.all) if each is entry) :]

    @property
    def due(self) -> int:
        """Return from when on a wait is too long."""
        told = [each.at for each in self.in_state if isinstance(each, Due)]
        return max([self.entry.at, *told[-1:]])

    @property
    def lives(self) -> list[Life]:
        """Return when the beats in this state were sent; the least delay is no delay, but a clock that is wrong."""
        beats = [each for each in self.all if isinstance(each, Beat)]
        delays = accumulate((each.received - each.occurred for each in beats), min)
        lives = [Life(each.occurred + delay, each.occurred) for each, delay in zip(beats, delays, strict=True)]
        since, number = self.entry.at, sum(isinstance(each, Beat) for each in self.in_state)
        return [each for each in lives[len(lives) - number :] if each.at >= since]

    @property
    def life(self) -> Life:
        entered = Life(self.entry.at, self.entry.at)
        return max([entered, *self.lives], key=lambda each: each.at)

    @property
    def interval(self) -> int | None:
        gaps = list(self.gaps())[-3:]
        return sorted(gaps)[(len(gaps) - 1) // 2] if gaps else None

    def gaps(self) -> Iterator[int]:
        """Yield how far beats are from each other that came one after the other, and without delay."""
        last: Beat | None = None
        for number, each in enumerate(self.all):
            if isinstance(each, Move) and Told(self.all[: number + 1]).entry is each:
                last = None
            if isinstance(each, Beat) and (last is None or each.received >= last.received):
                if last and each.received - last.received >= 15 * SECOND and _is_same_delay(last, each):
                    yield round((each.occurred - last.occurred) / SECOND) * SECOND
                last = each


def _is_same_delay(one: Beat, other: Beat) -> bool:
    return abs((one.received - one.occurred) - (other.received - other.occurred)) < SECOND


class NaiveTracker:
    """A `Tracker` with the usual limits."""

    def __init__(self) -> None:
        self.told: dict[UUID, Told] = {}
        self.verdicts: dict[UUID, Standing] = {}
        self.undead: set[UUID] = set()
        self.learned: dict[str, int] = {}
        self.sighted = 0

    def moved(self, run: UUID, move: Move) -> Suspicion | None:
        before = self.told.get(run, Told())
        if before and move.at < before.state.at:
            return None
        if before and before.is_over and not move.type.is_terminal:
            before = Told()
            self.undead.discard(run)
        after = self.told[run] = before.and_then(move)
        if run not in self.verdicts or after.entry is not move:
            return None
        del self.verdicts[run]
        return None if after.is_over else self._recovered(run, Reason.TRANSITION)

    def beat(self, run: UUID, beat: Beat) -> Suspicion | None:
        before = self.told.get(run, Told())
        if not before or before.is_over:
            return self._beat_of_ended(run, before, beat) if before else None
        after = self.told[run] = before.and_then(beat)
        if before.interval != after.interval or bool(before.lives) != bool(after.lives):
            for key in filter(None, (after.state.deployment, after.state.flow)):
                self.learned[key] = after.interval or self.learned.get(key) or 3 * MINUTE
        verdict = self.verdicts.get(run)
        if verdict is None or verdict.reason.status is VerdictStatus.OVERDUE:
            return None
        if before.life == after.life or after.life.at + self.silence(run) <= beat.heard:
            return None
        del self.verdicts[run]
        return self._recovered(run, Reason.HEARTBEAT)

    def expect(self, run: UUID, due: int) -> None:
        self.told[run] = self.told[run].and_then(Due(due))

    def runs(self) -> list[UUID]:
        """Return those that have not ended."""
        return [run for run, told in self.told.items() if not told.is_over]

    def statuses(self) -> dict[UUID, Status]:
        return {run: self._status(run) for run in self.runs()}

    def due(self, now: int) -> dict[UUID, Suspicion]:
        """Return what each run is suspected of, that whose deadline was first."""
        found = {run: [each for each in self.suspicions(run) if each.deadline <= now] for run in self.runs()}
        return {run: min(each, key=lambda suspicion: suspicion.deadline) for run, each in found.items() if each}

    def is_still_due(self, run: UUID, suspicion: Suspicion, now: int) -> bool:
        present = self.suspicions(run) if run in self.runs() else ()
        held = (suspicion.reason, suspicion.anchor)
        return any((each.reason, each.anchor) == held and each.deadline <= now for each in present)

    def suspicions(self, run: UUID) -> Iterator[Suspicion]:
        told, verdict = self.told[run], self.verdicts.get(run)
        state, since = told.state, told.entry.at
        rule = DWELLING.get((state.type, state.name == "AwaitingRetry"))
        if rule and not verdict:
            yield Suspicion(run, rule[0], told.attempt, since, told.due + rule[1], since)
        if state.type is StateType.RUNNING:
            life, interval = told.life, self.interval(run)
            times = (life.at, max(life.at, self.sighted) + self.silence(run), life.anchor)
            if told.lives and (not verdict or verdict.reason is not Reason.HEARTBEAT_MISSING):
                yield Suspicion(run, Reason.HEARTBEAT_MISSING, told.attempt, *times, interval)
            if not told.lives and not verdict and interval:
                yield Suspicion(run, Reason.NEVER_HEARTBEAT, told.attempt, *times, interval)

    def interval(self, run: UUID) -> int | None:
        told = self.told[run]
        return told.interval or self.learned.get(told.state.deployment) or self.learned.get(told.state.flow)

    def silence(self, run: UUID) -> int:
        return max(90 * SECOND, 3 * (self.interval(run) or 3 * MINUTE)) + 20 * SECOND

    def _beat_of_ended(self, run: UUID, told: Told, beat: Beat) -> Suspicion | None:
        crash, before = told.state, told.before_the_crash
        if crash.type is not StateType.CRASHED or run in self.undead or not before or not before.lives:
            return None
        if not any(each.at > crash.at + 20 * SECOND for each in before.and_then(beat).lives[-1:]):
            return None
        self.undead.add(run)
        at = crash.at
        return Suspicion(run, Reason.BEATS_AFTER_CRASH, told.attempt, at, at, at, before.interval)

    def _recovered(self, run: UUID, reason: Reason) -> Suspicion:
        told = self.told[run]
        return Suspicion(run, reason, told.attempt, told.life.at, told.life.at, told.life.anchor, told.interval)

    def _status(self, run: UUID) -> Status:
        if verdict := self.verdicts.get(run):
            return Status(verdict.reason.status.value)
        told = self.told[run]
        return Status.ALIVE if told.state.type is StateType.RUNNING and told.lives else Status.UNMONITORED
