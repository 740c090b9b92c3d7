"""The last hour: counted by when things occurred, in whatever order they come."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import orjson

from schemas import decode
from streamer.model import Appended, Counter, Family, Measured, Net, Record
from streamer.reports import Lately
from streamer.testing import an_event
from streamer.web.activity import BANDS, HOUR, MINUTES, Activity, Took
from tests.clock import Clock

NOON = datetime(2026, 11, 21, 12, 0, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def entering(state: str, at: datetime) -> Record:
    return Record(1, "default", decode(orjson.dumps(an_event(after=state, occurred=at))))


def took(seconds: float, at: datetime) -> Measured:
    return Measured(Counter(Family.DURATION, "default", labels=("COMPLETED", "60.0")), uuid4(), seconds, at)


def commit(activity: Activity, *records: Record, measured: tuple[Measured, ...] = ()) -> None:
    activity.committed("default", Net.LIVE, Appended(records=records, measured=measured))


def test_transitions_are_counted_in_the_minute_in_which_they_occurred() -> None:
    activity = Activity(Clock(NOON))
    commit(activity, entering("RUNNING", NOON), entering("FAILED", NOON - 3 * MINUTE), entering("RUNNING", NOON))
    states = activity.view().states
    assert states.keys() == {"RUNNING", "FAILED"}
    assert (states["RUNNING"][-1], sum(states["RUNNING"])) == (2, 2)
    assert (states["FAILED"][-4], sum(states["FAILED"])) == (1, 1)


def test_what_is_older_or_ahead_is_not_shown() -> None:
    activity = Activity(Clock(NOON))
    commit(activity, entering("RUNNING", NOON - HOUR), entering("RUNNING", NOON + 2 * MINUTE))
    assert activity.view().states == {}


def test_the_hour_moves_on() -> None:
    clock = Clock(NOON)
    activity = Activity(clock)
    commit(activity, entering("RUNNING", NOON))
    clock.time += 59 * MINUTE
    view = activity.view()
    assert (view.start, view.minutes, len(view.states["RUNNING"])) == (NOON.replace(second=0), MINUTES, MINUTES)
    assert view.states["RUNNING"][0] == 1
    clock.time += MINUTE
    assert activity.view().states == {}


def test_run_times_fall_into_bands() -> None:
    activity = Activity(Clock(NOON))
    commit(activity, measured=(took(1.0, NOON), took(0.9, NOON), took(1e6, NOON - MINUTE), took(0, NOON)))
    assert activity.view().took == [
        Took(MINUTES - 2, len(BANDS), 1),
        Took(MINUTES - 1, 0, 1),
        Took(MINUTES - 1, BANDS.index(1), 2),
    ]


def test_other_measures_are_no_run_times() -> None:
    activity = Activity(Clock(NOON))
    wait = Measured(Counter(Family.QUEUE_WAIT, "default"), uuid4(), 3.0, NOON)
    commit(activity, measured=(wait,))
    assert activity.view().took == []


def test_it_begins_with_what_the_store_had() -> None:
    activity, minute = Activity(Clock(NOON)), int(NOON.timestamp()) // 60
    activity.begin(Lately(moved=[(minute, "RUNNING", 5)], ended=[(minute - 1, 42, 3)]))
    commit(activity, entering("RUNNING", NOON))
    view = activity.view()
    assert view.states["RUNNING"][-1] == 6
    assert view.took == [Took(MINUTES - 2, BANDS.index(60), 3)]
