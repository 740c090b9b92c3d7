"""The runs that have not ended: how many, and which come first."""

from datetime import UTC, datetime
from uuid import UUID

from schemas import StateType
from streamer.liveness import Tracker
from streamer.model import Beat, Held, RunState
from streamer.suspicion import SECOND, Move, Reason, Standing
from streamer.timestamps import to_micros
from streamer.web import present

START = to_micros(datetime(2026, 11, 21, 12, tzinfo=UTC))


def a_tracker(*runs: tuple[int, StateType, int], **names: str) -> Tracker:
    """Return a tracker of runs: a number, the state, and how many seconds after the start it came into that."""
    tracker = Tracker()
    for number, state, seconds in runs:
        name = names.get(f"r{number}", state.title())
        tracker.moved(UUID(int=number), Move(START + seconds * SECOND, state, name))
    return tracker


def first(tracker: Tracker, most: int = 30) -> list[int]:
    return [run.int for run in present.choose(tracker.statuses(), most).first]


def test_runs_are_counted_by_state_and_by_what_is_held_of_them() -> None:
    tracker = a_tracker((1, StateType.RUNNING, 0), (2, StateType.RUNNING, 1), (3, StateType.SCHEDULED, 2))
    tracker.beat(UUID(int=1), START + SECOND, START + SECOND, START + SECOND)
    chosen = present.choose(tracker.statuses())
    assert (chosen.by_state, chosen.by_status) == ({"RUNNING": 2, "SCHEDULED": 1}, {"alive": 1, "unmonitored": 2})


def test_what_a_verdict_stands_of_comes_first_zombies_before_all() -> None:
    tracker = a_tracker(*((number, StateType.RUNNING, number) for number in range(1, 6)))
    tracker.stand(UUID(int=1), Standing(Reason.RUNNING))
    tracker.stand(UUID(int=2), Standing(Reason.HEARTBEAT_MISSING))
    tracker.stand(UUID(int=3), Standing(Reason.NEVER_HEARTBEAT))
    assert first(tracker) == [2, 3, 1, 5, 4]


def test_running_ones_come_before_pending_ones_and_the_latest_first() -> None:
    tracker = a_tracker((1, StateType.PENDING, 9), (2, StateType.RUNNING, 1), (3, StateType.RUNNING, 5))
    assert first(tracker) == [3, 2, 1]
    assert first(tracker, most=1) == [3]


def test_what_is_scheduled_is_only_counted_unless_it_waits_for_a_retry() -> None:
    tracker = a_tracker((1, StateType.SCHEDULED, 0), (2, StateType.SCHEDULED, 0), r2="AwaitingRetry")
    assert first(tracker) == [2]


def test_a_run_is_shown_with_its_beats_by_the_servers_clock_and_why_it_is_held_dead() -> None:
    at = datetime(2026, 11, 21, 12, 5, tzinfo=UTC)
    run = RunState(
        id=UUID(int=1),
        source="default",
        name="loose-quetzal",
        flow="f1",
        state_type=StateType.RUNNING,
        state_name="Running",
        beats=(Beat(START - 3600 * SECOND, START),),
        verdict=Held("zombie", "heartbeat_missing", at),
    )
    chosen = present.Chosen({"RUNNING": 2}, {"zombie": 1}, {run.id: 30.0, UUID(int=2): None})
    view = present.view(chosen, {run.id: run}, {"f1": "etl"})
    (shown,) = view.items
    assert (view.total, shown.name, shown.flow and shown.flow.name, shown.interval) == (2, "loose-quetzal", "etl", 30.0)
    assert [beat.hour for beat in shown.beats] == [12]
    assert shown.verdict is not None
    assert (shown.verdict.status, shown.verdict.at) == ("zombie", at)
