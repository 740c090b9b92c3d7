"""Pure: which runs are alive, which are silent for too long, and which are in a state for too long.

Time is an argument, in microseconds by the server's clock. What is due is a suspicion, no verdict: whoever asks
confirms it with the server first, and then says so with `stand`.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from enum import StrEnum
from heapq import heappop, heappush
from sys import intern
from typing import NamedTuple
from uuid import UUID

from schemas import StateType
from schemas.ours import VerdictStatus
from streamer.lifesigns import LifeSigns
from streamer.runs import AWAITING_RETRY
from streamer.suspicion import SECOND, USUAL, Limits, Move, Reason, Standing, Suspicion

CHECK_AGAIN = 30 * SECOND
"""A suspicion that led to no verdict comes again after this."""

ENDED_KEPT = 50_000

Deadline = tuple[int, Reason]
"""From when on a run is suspected, and of what."""


class Status(StrEnum):
    """What is held of a run that has not ended; the `status` label of `prefect_flow_run_liveness`."""

    ALIVE = "alive"
    SUSPECT = "suspect"
    ZOMBIE = "zombie"
    OVERDUE = "overdue"
    UNMONITORED = "unmonitored"


class Ended(NamedTuple):
    """What is remembered for a while of a run that has ended, and of one that crashed: its signs of life."""

    at: int
    attempt: int | None
    signs: LifeSigns | None


class Tracker:
    """Follow the runs of one source. A beat costs O(1), what is due O(log n) each.

    `limits_of` gives the limits for a run as its transition tells of it. A run is looked at when its time is up as far
    as was known when that was set; signs of life that came meanwhile put it off then, and cost nothing before.
    """

    def __init__(self, limits_of: Callable[[Move], Limits] = lambda _: USUAL) -> None:
        self.sighted = 0
        self._limits_of = limits_of
        self._runs: dict[UUID, LifeSigns] = {}
        self._ended: OrderedDict[UUID, Ended] = OrderedDict()
        self._learned: dict[str, int] = {}
        self._heap: list[tuple[int, UUID]] = []

    def __len__(self) -> int:
        return len(self._runs)

    def get(self, run: UUID) -> LifeSigns | None:
        """Return what is remembered of a run that has not ended."""
        return self._runs.get(run)

    def statuses(self) -> Iterator[tuple[UUID, LifeSigns, Status]]:
        """Yield all runs that have not ended."""
        for run, signs in list(self._runs.items()):  # a scrape reads them from a thread of its own
            yield run, signs, _status(signs)

    def see(self, since: int) -> int:
        """Hold no silence from before this time against anybody, since we could not have heard; return of how many."""
        silent = sum(self._is_silent(run, at, since) for at, run in self._heap if at <= since)
        self.sighted = max(self.sighted, since)
        return silent

    def moved(self, run: UUID, move: Move) -> Suspicion | None:
        """Take note of a transition; return `recovered` if the run moved on from a verdict.

        One that is older than what is known changes nothing. At the same instant the end wins.
        """
        signs, ended = self._runs.get(run), self._ended.get(run)
        if (signs and move.at < signs.move.at) or (ended and (move.at, move.type.is_terminal) <= (ended.at, False)):
            return None
        if move.type.is_terminal:
            self._end(run, move)
            return None
        if ended:
            del self._ended[run]
        limits = self._limits_of(move)
        if signs is None:
            signs, left = LifeSigns(_kept(move, move.attempt), limits), None
            self._runs[run] = signs
        else:
            left = _advance(signs, move, limits)
        self._arm(run, signs)
        return _recovery(run, signs, Reason.TRANSITION, move.at) if left else None

    def beat(self, run: UUID, occurred: int, received: int, now: int) -> Suspicion | None:
        """Take note of a heartbeat; return what it proves: that a run recovered, or that a crashed one lives.

        The beat of a run whose state nobody has told yet is passed over: there will be more.
        """
        signs = self._runs.get(run)
        if signs is None:
            return self._beat_of_ended(run, occurred, received)
        life, beats, interval = signs.life, signs.beats, signs.interval
        signs.beat(occurred, received)
        if signs.interval != interval or (signs.beats and not beats):
            self._learn(signs)
            self._arm(run, signs)
        return self._revived(run, signs, now) if signs.standing and signs.life > life else None

    def stand(self, run: UUID, standing: Standing) -> None:
        """Take note of a verdict that was given, so that it is not given again."""
        if (signs := self._runs.get(run)) and standing.reason.status in _HELD:
            signs.standing = standing
            self._arm(run, signs)

    def expect(self, run: UUID, due: int) -> None:
        """Take note of when a scheduled run should start, which events do not tell."""
        if signs := self._runs.get(run):
            signs.due = due
            self._arm(run, signs)

    def forget(self, run: UUID) -> None:
        """Drop a run that was deleted, or has ended without a word."""
        self._runs.pop(run, None)

    def due(self, now: int, most: int = 1_000) -> list[Suspicion]:
        """Return the runs whose time is up, at most so many; each comes again later if no verdict was given."""
        found: list[Suspicion] = []
        while self._heap and self._heap[0][0] <= now and len(found) < most:
            entry, run = heappop(self._heap)
            signs = self._runs.get(run)
            if signs is None or signs.entry != entry:
                continue
            signs.entry = 0
            soonest = min(self._deadlines(signs), default=None)
            if soonest and soonest[0] <= now:
                found.append(self._suspicion(run, signs, *soonest))
                self._push(run, signs, now + CHECK_AGAIN)
            else:
                self._arm(run, signs, now)
        return found

    def refuted(self, run: UUID, now: int) -> None:
        """Take note that a suspicion was wrong: the run is looked at when its time is up by what is known now."""
        signs = self._runs.get(run)
        if signs and all(at > now for at, _ in self._deadlines(signs)):
            self._arm(run, signs, now)

    def is_still_due(self, suspicion: Suspicion, now: int) -> bool:
        """Tell whether nothing has come since that speaks against a suspicion."""
        signs = self._runs.get(suspicion.run)
        if signs is None:
            return False
        present = [self._suspicion(suspicion.run, signs, *each) for each in self._deadlines(signs) if each[0] <= now]
        return (suspicion.reason, suspicion.anchor) in [(each.reason, each.anchor) for each in present]

    def _end(self, run: UUID, move: Move) -> None:
        before = self._ended.pop(run, None)
        signs = self._runs.pop(run, None) or (before.signs if before else None)
        attempt = signs.move.attempt if signs and move.attempt is None else move.attempt
        self._ended[run] = Ended(move.at, attempt, signs if move.type is StateType.CRASHED else None)
        if len(self._ended) > ENDED_KEPT:
            self._ended.popitem(last=False)

    def _beat_of_ended(self, run: UUID, occurred: int, received: int) -> Suspicion | None:
        """Return `undead` for a beat that was sent after the crash, by a sender whose clock is known from before."""
        at, attempt, signs = self._ended.get(run) or (0, None, None)
        if signs is None or not signs.beats or signs.sent(occurred, received) <= at + signs.limits.slack:
            return None
        self._ended[run] = Ended(at, attempt, None)
        return Suspicion(run, Reason.BEATS_AFTER_CRASH, attempt, at, at, at, signs.interval)

    def _revived(self, run: UUID, signs: LifeSigns, now: int) -> Suspicion | None:
        """Return `recovered` for a sign of life whose own deadline is still ahead; an older one changes nothing."""
        silence = signs.limits.silence(self._interval(signs))
        if not signs.standing or signs.standing.reason.status is VerdictStatus.OVERDUE:
            return None
        if silence is None or signs.life + silence <= now:
            return None
        signs.standing = None
        self._arm(run, signs)
        return _recovery(run, signs, Reason.HEARTBEAT, signs.anchor)

    def _interval(self, signs: LifeSigns) -> int | None:
        """Return the run's interval; until it is learned, that of the deployment's or the flow's other runs."""
        return signs.interval or self._learned.get(signs.move.deployment) or self._learned.get(signs.move.flow)

    def _learn(self, signs: LifeSigns) -> None:
        """Let other runs of the deployment and the flow start with this one's interval."""
        for key in (signs.move.deployment, signs.move.flow):
            if key:
                self._learned[key] = signs.interval or self._learned.get(key) or signs.limits.interval

    def _arm(self, run: UUID, signs: LifeSigns, now: int = 0) -> None:
        """See to it that the run is looked at when its time is up."""
        at = min([at for at, _ in self._deadlines(signs)] + self._another_look(signs, now), default=0)
        if at and (signs.entry == 0 or at < signs.entry):
            self._push(run, signs, at)

    def _push(self, run: UUID, signs: LifeSigns, at: int) -> None:
        signs.entry = at
        heappush(self._heap, (at, run))

    def _deadlines(self, signs: LifeSigns) -> list[Deadline]:
        """Return what the run is suspected of from when on, unless a verdict says as much already."""
        move, limits, standing = signs.move, signs.limits, signs.standing
        found: list[Deadline] = []
        if standing is None and (dwelling := _DWELLING.get(move.type)):
            reason, limit = dwelling(move, limits)
            if limit is not None:
                found.append((max(signs.since, signs.due or 0) + limit, reason))
        if move.type is StateType.RUNNING:
            reason = Reason.HEARTBEAT_MISSING if signs.beats else Reason.NEVER_HEARTBEAT
            interval = self._interval(signs)
            silence = limits.silence(interval)
            is_expected = signs.beats or (interval and limits.never_heartbeat)
            if is_expected and silence is not None and (standing is None or standing.leaves_open(reason)):
                found.append((max(signs.life, self.sighted) + silence, reason))
        return found

    def _is_silent(self, run: UUID, entry: int, now: int) -> bool:
        """Tell whether an entry of the heap is a run's valid one, and its heartbeats are missing."""
        signs = self._runs.get(run)
        if signs is None or signs.entry != entry:
            return False
        return Reason.HEARTBEAT_MISSING in [why for at, why in self._deadlines(signs) if at <= now]

    def _another_look(self, signs: LifeSigns, now: int) -> list[int]:
        """Return when to look again at a run without heartbeats: others of its flow may have sent some by then."""
        silence = signs.limits.silence(None)
        is_mute = signs.move.type is StateType.RUNNING and not signs.beats and not signs.standing
        if not is_mute or not signs.limits.never_heartbeat or silence is None or self._interval(signs):
            return []
        return [max(signs.life, now) + silence]

    def _suspicion(self, run: UUID, signs: LifeSigns, deadline: int, reason: Reason) -> Suspicion:
        if reason in (Reason.HEARTBEAT_MISSING, Reason.NEVER_HEARTBEAT):
            interval = self._interval(signs)
            return Suspicion(run, reason, signs.move.attempt, signs.life, deadline, signs.anchor, interval)
        return Suspicion(run, reason, signs.move.attempt, signs.since, deadline, signs.since)


_DWELLING: dict[StateType, Callable[[Move, Limits], tuple[Reason, int | None]]] = {
    StateType.SCHEDULED: lambda move, limits: (
        (Reason.RETRY, limits.retry) if move.name == AWAITING_RETRY else (Reason.SCHEDULED, limits.scheduled)
    ),
    StateType.PENDING: lambda _, limits: (Reason.PENDING, limits.pending),
    StateType.CANCELLING: lambda _, limits: (Reason.CANCELLING, limits.cancelling),
    StateType.RUNNING: lambda _, limits: (Reason.RUNNING, limits.running),
}
"""Why a run is overdue in a state, and after how long; a paused one may be for ever."""

_HELD = frozenset({VerdictStatus.SUSPECT, VerdictStatus.ZOMBIE, VerdictStatus.OVERDUE})
"""What a run can be held to be; the other verdicts tell of an instant."""


def _advance(signs: LifeSigns, move: Move, limits: Limits) -> Standing | None:
    """Let a transition begin something, or only name it anew; return the verdict that no longer stands."""
    left = None
    if _begins(signs.move, move):
        signs.begin(move.at)
        left, signs.standing = signs.standing, None
    signs.move = _kept(move, signs.move.attempt if move.attempt is None else move.attempt)
    signs.limits = limits
    return left


def _begins(before: Move, after: Move) -> bool:
    """Tell whether a transition begins something: another type of state, another attempt, or a wait for one."""
    is_wait = after.name == AWAITING_RETRY and before.name != AWAITING_RETRY
    is_other_attempt = after.attempt is not None and before.attempt is not None and after.attempt != before.attempt
    return after.type is not before.type or is_wait or is_other_attempt


def _kept(move: Move, attempt: int | None) -> Move:
    """Return what is kept of a transition: names in memory once for all runs; no tags, since only limits need them."""
    names = (intern(move.flow), intern(move.deployment), intern(move.work_pool))
    return Move(move.at, move.type, intern(move.name), attempt, *names)


def _status(signs: LifeSigns) -> Status:
    if signs.standing:
        return Status(signs.standing.reason.status.value)
    return Status.ALIVE if signs.move.type is StateType.RUNNING and signs.beats else Status.UNMONITORED


def _recovery(run: UUID, signs: LifeSigns, reason: Reason, anchor: int) -> Suspicion:
    return Suspicion(run, reason, signs.move.attempt, signs.life, signs.life, anchor, signs.interval)
