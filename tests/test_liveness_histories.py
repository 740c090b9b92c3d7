"""Random histories: what the tracker holds of runs is what a look at everything that was told of them says.

Within what is promised: beats come late, twice, in another order or never, by clocks that are wrong, but are not set.
That they may be set, too, is told at the end, of a run that is alive.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import StateType
from streamer.liveness import CHECK_AGAIN, Tracker
from streamer.suspicion import SECOND, Move, Reason, Standing, Suspicion
from tests.naive_tracker import HOUR, MINUTE, Beat, Due, NaiveTracker

START = 1_795_000_000 * SECOND
TWIN = 4_000
BEATS_KEPT = 32
RUN = UUID(int=0)


class Phase(NamedTuple):
    """A state that a run is in: how long, from when to when it is silent, and how late we hear of it."""

    state: tuple[StateType, str]
    length: int
    silent_from: int
    silent_for: int
    late: int


class Sender(NamedTuple):
    """What a run's heartbeats are like; every so many-th is lost, or told by the sweep."""

    interval: int
    clock: int
    lost: int
    swept: int
    is_doubled: bool
    is_reversed: bool

    def beats(self, times: Iterable[int], held_up: "Cuts") -> Iterator[Beat]:
        """Yield what is sent at these; while the way is cut, nothing is received, and then all at once."""
        for number, sent in enumerate(times):
            received = next((until for since, until in held_up if since <= sent < until), sent)
            is_clearly_late_or_not = received == sent or received - sent > 6 * SECOND
            if number % self.lost and is_clearly_late_or_not:
                heard = received if number % self.swept else received + 100 * SECOND
                for twin in (0, TWIN)[: 1 + self.is_doubled]:
                    yield Beat(sent + twin + self.clock, received + twin, heard + twin)


class Ask(NamedTuple):
    """Somebody asks who is due."""

    after: int
    gives_verdicts: bool
    restarts: bool
    was_blind: bool
    due_in: int | None


Cuts = list[tuple[int, int]]
Telling = tuple[int, UUID, Move | Beat]
"""What is told of a run, after when we hear of it."""

STATES = [
    *[(StateType.RUNNING, "Running")] * 9,
    (StateType.RUNNING, "Crunching"),
    (StateType.SCHEDULED, "Scheduled"),
    (StateType.SCHEDULED, "Late"),
    (StateType.SCHEDULED, "AwaitingRetry"),
    (StateType.PENDING, "Pending"),
    (StateType.PAUSED, "Paused"),
    (StateType.CANCELLING, "Cancelling"),
    (StateType.COMPLETED, "Completed"),
    (StateType.CRASHED, "Crashed"),
]

seconds = st.integers(2, 1500).map(lambda second: second * SECOND)
pauses = st.sampled_from([45, 130, 200, 400, 700]).map(lambda second: second * SECOND)
rarely = st.sampled_from([False, False, False, True])
phases = st.builds(
    Phase,
    state=st.sampled_from(STATES),
    length=seconds,
    silent_from=pauses,
    silent_for=pauses,
    late=st.sampled_from([0, 0, 0, 50 * SECOND, 500 * SECOND]),
)
senders = st.builds(
    Sender,
    interval=st.sampled_from([30 * SECOND, 60 * SECOND, 180 * SECOND]),
    clock=st.sampled_from([0, 0, 3 * SECOND, -10 * MINUTE, 10 * MINUTE]),
    lost=st.sampled_from([2, 3, 100]),
    swept=st.sampled_from([4, 100]),
    is_doubled=st.booleans(),
    is_reversed=st.booleans(),
)
cuts = st.lists(st.tuples(st.integers(0, 2), st.sampled_from([20, 300, 750])), unique_by=lambda cut: cut[0]).map(
    lambda found: [
        (START + 25 * MINUTE * number, START + 25 * MINUTE * number + length * SECOND) for number, length in found
    ]
)
asks = st.builds(
    Ask,
    after=st.integers(1, 200).map(lambda second: second * SECOND),
    gives_verdicts=st.sampled_from([True, True, False]),
    restarts=rarely,
    was_blind=rarely,
    due_in=st.sampled_from([None, None, -HOUR, HOUR]),
)


@st.composite
def tellings(draw: st.DrawFn, run: UUID) -> list[Telling]:
    """Draw what is told of a run, in the order in which we hear of it."""
    sender, held_up, tells_attempts = draw(senders), draw(cuts), draw(st.booleans())
    flow, deployment = draw(st.sampled_from(["f", "g"])), draw(st.sampled_from(["", "d"]))
    at, attempt, found = START, 0, list[Telling]()
    for (type_, name), length, silent_from, silent_for, late in draw(st.lists(phases, min_size=1, max_size=6)):
        attempt += type_ is StateType.RUNNING
        move = Move(at, type_, name, attempt if tells_attempts else None, flow, deployment)
        found.append((at + late, run, move))
        is_silent = range(at + silent_from, at + silent_from + silent_for)
        times = (each for each in range(at + SECOND, at + length, sender.interval) if each not in is_silent)
        beats = list(sender.beats(times, held_up))
        found += [(beat.heard, run, beat) for beat in (reversed(beats) if sender.is_reversed else beats)]
        at += length
    return sorted(found, key=lambda telling: telling[0])


histories = st.tuples(*(tellings(UUID(int=number)) for number in range(3)))


class Comparison:
    """A tracker and its naive double, told and asked the same."""

    def __init__(self) -> None:
        self.tracker, self.naive = Tracker(), NaiveTracker()
        self.found_at: dict[UUID, int] = {}
        self.suspected: dict[UUID, Suspicion] = {}

    def tell(self, run: UUID, told: Move | Beat) -> None:
        if isinstance(told, Move):
            assert self.tracker.moved(run, told) == self.naive.moved(run, told)
        else:
            assert self.tracker.beat(run, *told) == self.naive.beat(run, told)

    def ask(self, now: int, ask: Ask) -> None:
        if ask.was_blind:
            self.see(now)
        if ask.due_in is not None:
            self.expect(now + ask.due_in)
        found = self.compare(now)
        if ask.gives_verdicts:
            for each in found:
                self.stand(each.run, Standing(each.reason))
        if ask.restarts:
            self.restart(now)

    def compare(self, now: int) -> list[Suspicion]:
        """Return what is due; one that did not come is due again later, or depends on what other runs have done."""
        due, found = self.naive.due(now), self.tracker.due(now)
        assert {each.run: each for each in found} == {run: due.get(run) for run in {each.run for each in found}}
        for run in due.keys() - {each.run for each in found}:
            is_too_soon = now < self.found_at.get(run, 0) + CHECK_AGAIN
            assert is_too_soon or self.naive.told[run].interval is None
        for run, suspicion in self.suspected.items():
            assert self.tracker.is_still_due(suspicion, now) == self.naive.is_still_due(run, suspicion, now)
        assert {run: status for run, _, status in self.tracker.statuses()} == self.naive.statuses()
        self.found_at |= {each.run: now for each in found}
        self.suspected |= due
        return found

    def see(self, since: int) -> None:
        self.tracker.see(since)
        self.naive.sighted = max(self.naive.sighted, since)

    def expect(self, due: int) -> None:
        for run in self.naive.runs():
            self.tracker.expect(run, due)
            self.naive.expect(run, due)

    def stand(self, run: UUID, standing: Standing) -> None:
        self.tracker.stand(run, standing)
        self.naive.verdicts[run] = standing

    def restart(self, now: int) -> None:
        """Begin anew with what is kept of runs that have not ended: two transitions, the last beats, the verdict."""
        before = self.naive
        self.tracker, self.naive, self.found_at = Tracker(), NaiveTracker(), {}
        for run in before.runs():
            told, state = before.told[run], before.told[run].state._replace(attempt=before.told[run].attempt)
            beats = sorted((each for each in told.all if isinstance(each, Beat)), key=lambda each: each.received)
            self.tell(run, state._replace(at=told.entry.at))
            self.tell(run, state)
            for each in beats[-BEATS_KEPT:]:
                self.tell(run, each)
            for due in [each for each in told.in_state if isinstance(each, Due)][-1:]:
                self.tracker.expect(run, due.at)
                self.naive.expect(run, due.at)
            if verdict := before.verdicts.get(run):
                self.stand(run, verdict)
        self.see(now)


@settings(deadline=None, max_examples=100)
@given(histories, st.lists(asks, min_size=8, max_size=25))
def test_tracker_holds_what_a_look_at_everything_says(histories: Iterable[list[Telling]], asks: list[Ask]) -> None:
    comparison, now = Comparison(), START
    ahead = sorted((telling for history in histories for telling in history), key=lambda telling: telling[0])
    for ask in asks:
        now += ask.after
        while ahead and ahead[0][0] <= now:
            comparison.tell(*ahead.pop(0)[1:])
        comparison.ask(now, ask)
    for _, run, told in ahead:
        comparison.tell(run, told)
    for _ in range(2):
        now += 6 * HOUR
        found = comparison.compare(now)
    assert {each.run: each for each in found} == comparison.naive.due(now)


steps = st.lists(st.tuples(st.integers(4, 12), st.integers(-HOUR, HOUR)), max_size=5)


@settings(deadline=None, max_examples=100)
@given(st.integers(30, 180), st.integers(-HOUR, HOUR), st.booleans(), steps)
def test_run_that_beats_is_never_suspected_and_is_missed_in_time_however_its_clock_is_set(
    interval: int, clock: int, is_doubled: bool, steps: list[tuple[int, int]]
) -> None:
    tracker, now, apart = Tracker(), START, interval * SECOND
    tracker.moved(RUN, Move(now, StateType.RUNNING, "Running", 1))
    for beats, step in [*steps, (12, 0)]:
        for _ in range(beats):
            now += apart
            for twin in (0, TWIN)[: 1 + is_doubled]:
                tracker.beat(RUN, now + twin + clock, now + twin, now + twin)
            assert tracker.due(now + apart - 1) == []
        clock += step
    silence = max(90 * SECOND, 3 * apart) + 20 * SECOND
    assert tracker.due(now + silence - TWIN - SECOND * 3) == []
    assert [each.reason for each in tracker.due(now + silence + TWIN)] == [Reason.HEARTBEAT_MISSING]
