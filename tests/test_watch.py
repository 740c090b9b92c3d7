"""When silence means something, and when it does not."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import orjson
import pytest

from schemas import Heartbeat, StateType, decode
from streamer.health import SourceHealth
from streamer.instruments import Instruments
from streamer.liveness import Tracker
from streamer.model import Appended, Beat, Held, Net, Record, RunState
from streamer.suspicion import Reason
from streamer.testing import an_event
from streamer.timestamps import to_micros
from streamer.watch import Watch
from tests.frames import bare, heartbeat

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SILENCE = 110
"""Seconds that a run with beats every 30 s may be silent with the usual limits."""


@dataclass
class Clock:
    seconds: float = 0.0
    jump: timedelta = field(default_factory=timedelta)

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds) + self.jump

    def monotonic(self) -> float:
        return 1_000_000 + self.seconds


class World:
    """A watch on a source that is connected, with a clock of our own."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.health = SourceHealth("default", Instruments(), clock=self.clock)
        self.health.open()
        self.health.moved(None, complete=True)
        self.watch = Watch(Tracker(), self.health, self.clock, self.health.instruments)
        self.due: set[UUID] = set()

    def start(self, *runs: UUID) -> None:

        events = [decode(orjson.dumps(an_event(run=str(run), occurred=self.clock.now()))) for run in runs]
        records = [Record(seq, "default", event) for seq, event in enumerate(events)]
        self.watch.committed("default", Net.LIVE, Appended(records))

    def beat(self, *runs: UUID, late: float = 0) -> None:
        now = self.clock.now()
        beats = []
        for run in runs:
            beat = decode(bare(heartbeat(run, occurred=now, received=now - timedelta(seconds=late))))
            assert isinstance(beat, Heartbeat)
            beats.append(beat)
        self.watch.committed("default", Net.LIVE, Appended(beats=beats))

    def wait(self, seconds: int, *beating: UUID) -> None:
        """Let time pass, a look each second; these runs beat every 30 s."""
        for _ in range(seconds):
            self.clock.seconds += 1
            self.health.read_at = self.clock.monotonic()
            if int(self.clock.seconds) % 30 == 0:
                self.beat(*beating)
            self.due |= {each.run for each in self.watch.due(1000) if each.reason is Reason.HEARTBEAT_MISSING}

    def suppressed(self) -> float | None:
        """Return how many runs' silence was held against nobody, since we could not have heard them."""
        return self.health.instruments.registry.get_sample_value(
            "prefect_streamer_zombie_checks_total", {"result": "suppressed_stream_down"}
        )


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def run(world: World) -> UUID:
    """A run that has sent beats for a minute."""
    run = uuid4()
    world.start(run)
    world.beat(run)
    world.wait(60, run)
    return run


def test_silent_run_is_due_and_one_that_beats_is_not(world: World, run: UUID) -> None:
    alive = uuid4()
    world.start(alive)
    world.beat(alive)
    world.wait(SILENCE - 2, alive)
    assert world.due == set()
    world.wait(5, alive)
    assert world.due == {run}


def test_nothing_is_due_while_disconnected_and_all_have_their_time_again_after_it(world: World, run: UUID) -> None:
    world.health.closed("1012", "the server went away")
    world.wait(10 * SILENCE)
    assert (world.due, world.suppressed()) == (set(), 0)
    world.health.open()
    world.health.moved(None, complete=True)
    world.wait(SILENCE - 2)
    assert world.suppressed() == 1
    assert world.due == set()
    world.wait(5)
    assert world.due == {run}


def test_nothing_is_due_after_this_process_stood_still(world: World, run: UUID) -> None:
    world.clock.seconds += 10 * SILENCE
    world.wait(SILENCE - 2)
    assert world.due == set()
    world.wait(5)
    assert world.due == {run}


def test_nothing_is_due_after_the_clock_was_set(world: World, run: UUID) -> None:
    world.clock.jump = timedelta(hours=1)
    world.wait(SILENCE - 2)
    assert world.due == set()


def test_nothing_is_due_while_what_comes_is_late(world: World, run: UUID) -> None:
    other = uuid4()
    world.start(other)
    for _ in range(3 * SILENCE):
        world.beat(other, late=60)
        world.wait(1)
    assert world.due == set()
    world.wait(SILENCE + 12)
    assert run in world.due


def test_when_most_of_many_fall_silent_at_once_they_have_another_period(world: World) -> None:
    runs = [uuid4() for _ in range(20)]
    world.start(*runs)
    world.beat(*runs)
    world.wait(60, *runs)
    world.wait(SILENCE + 5)
    assert world.due == set()
    world.wait(SILENCE)
    assert world.due == set(runs)


def test_when_a_few_of_many_fall_silent_they_are_due_at_once(world: World) -> None:
    runs = [uuid4() for _ in range(40)]
    world.start(*runs)
    world.beat(*runs)
    world.wait(60, *runs)
    world.wait(SILENCE + 5, *runs[12:])
    assert world.due == set(runs[:12])


def test_what_was_known_before_a_restart_is_known_after_it(world: World) -> None:
    since, run, dead = NOON - timedelta(minutes=10), uuid4(), uuid4()
    beats = tuple(Beat(at, at + 1000) for at in range(to_micros(NOON) - 100_000_000, to_micros(NOON), 30_000_000))
    running = RunState(
        id=run,
        source="default",
        run_count=1,
        state_type=StateType.RUNNING,
        state_name="Running",
        since=since,
        state_at=since,
        beats=beats,
    )
    named = replace(running, id=dead, verdict=Held("zombie", "heartbeat_missing", NOON))
    world.watch.load([running, named, RunState(id=uuid4(), source="default")])
    world.wait(SILENCE + 20)
    assert world.due == {run}, "the other was named before"
    signs = world.watch.tracker.get(run)
    assert signs
    assert (len(world.watch.tracker), signs.interval) == (2, 30_000_000)


def test_another_source_is_none_of_its_business(world: World) -> None:

    event = decode(orjson.dumps(an_event()))
    world.watch.committed("another", Net.LIVE, Appended([Record(1, "another", event)]))
    assert len(world.watch.tracker) == 0
