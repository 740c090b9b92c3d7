"""Who is held to be alive, silent or late, and when; and what must never be held against a run."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from typing import Any
from uuid import UUID

import pytest

from schemas import StateType
from schemas.ours import VerdictStatus
from streamer import liveness
from streamer.lifesigns import LifeSigns
from streamer.liveness import CHECK_AGAIN, Status, Tracker
from streamer.suspicion import SECOND, USUAL, Limits, Move, Reason, Standing, Suspicion

START = 1_795_000_000
MINUTE, HOUR, DAY = 60, 3600, 86_400
RUN, OTHER, THIRD = (UUID(int=number) for number in range(3))

MISSING, NEVER, UNDEAD = Reason.HEARTBEAT_MISSING, Reason.NEVER_HEARTBEAT, Reason.BEATS_AFTER_CRASH
RECOVERED, MOVED_ON = Reason.HEARTBEAT, Reason.TRANSITION
NOTHING: list[Reason] = []


def micros(second: float) -> int:
    return round((START + second) * SECOND)


def every(interval: float, start: float, end: float) -> list[float]:
    return [start + number * interval for number in range(int((end - start) / interval) + 1)]


class Story:
    """A tracker, told of in seconds; what it says of runs are reasons. A story without a run is about `RUN`."""

    def __init__(self, limits: Limits = USUAL) -> None:
        self.tracker = Tracker(lambda _: limits)

    def moves(
        self,
        second: float,
        state: str,
        *,
        name: str | None = None,
        attempt: int | None = 1,
        run: UUID = RUN,
        flow: str = "a flow",
        deployment: str = "",
    ) -> Reason | None:
        move = Move(micros(second), StateType(state), name or state.title(), attempt, flow, deployment)
        return _reason(self.tracker.moved(run, move))

    def beats(
        self, *seconds: float, clock: float = 0, received: float | None = None, run: UUID = RUN
    ) -> list[Reason | None]:
        """Beat at these, by a clock that is off by so much, and be heard at once or when it is `received`."""
        return [
            _reason(self.tracker.beat(run, micros(each + clock), micros(heard), micros(heard)))
            for each, heard in ((each, each if received is None else received) for each in seconds)
        ]

    def asked(self, second: float) -> list[Suspicion]:
        return self.tracker.due(micros(second))

    def due(self, second: float) -> list[Reason]:
        return [each.reason for each in self.asked(second)]

    def judged(self, second: float) -> Suspicion:
        """Give the verdict that is due."""
        (suspicion,) = self.asked(second)
        self.tracker.stand(suspicion.run, Standing(suspicion.reason))
        return suspicion

    def signs(self, run: UUID = RUN) -> LifeSigns:
        signs = self.tracker.get(run)
        assert signs is not None
        return signs

    def status(self, run: UUID = RUN) -> Status | None:
        return {each: status for each, _, status in self.tracker.statuses()}.get(run)


def _reason(finding: Suspicion | None) -> Reason | None:
    return finding.reason if finding else None


def running(limits: Limits = USUAL) -> Story:
    story = Story(limits)
    story.moves(0, "RUNNING")
    return story


def beaten(until: float, interval: float = 30, limits: Limits = USUAL) -> Story:
    """Return the story of a run that has sent heartbeats from 0 to this."""
    story = running(limits)
    story.beats(*every(interval, 0, until))
    return story


def zombie() -> Story:
    """Return the story of a run whose last heartbeat was at 300, and that is held to be a zombie since 410."""
    story = beaten(300)
    story.judged(411)
    return story


def test_run_that_beats_is_never_suspected() -> None:
    story = running()
    for each in every(30, 0, DAY):
        story.beats(each)
        assert story.due(each + 29) == NOTHING
    assert story.status() is Status.ALIVE


@pytest.mark.parametrize(("interval", "silence"), [(30, 110), (60, 200), (180, 560), (600, 1820)])
def test_deadline_is_thrice_the_interval_at_least_a_minimum_and_slack(interval: int, silence: int) -> None:
    story = beaten(10 * interval, interval)
    assert story.due(10 * interval + silence - 0.1) == NOTHING
    assert story.due(10 * interval + silence) == [MISSING]


def test_suspicion_tells_since_when_and_by_when_and_of_which_attempt() -> None:
    story = Story()
    story.moves(0, "RUNNING", attempt=3)
    story.beats(*every(30, 0, 300), clock=-600)
    expected = Suspicion(RUN, MISSING, 3, micros(300), micros(410), micros(300 - 600), 30 * SECOND)
    assert story.asked(500) == [expected]


def test_missing_heartbeats_alone_make_a_zombie() -> None:
    made = {reason.status: reason for reason in Reason}
    assert made[VerdictStatus.ZOMBIE] is MISSING
    assert [reason for reason in Reason if reason.status is VerdictStatus.ZOMBIE] == [MISSING]
    assert [reason for reason in Reason if reason.status is VerdictStatus.SUSPECT] == [NEVER]


def test_single_beat_gives_the_benefit_of_the_usual_interval() -> None:
    story = running()
    story.beats(0)
    assert story.due(559) == NOTHING
    assert story.due(560) == [MISSING]


def test_single_beat_is_followed_by_others_as_they_follow_in_other_runs_of_the_deployment() -> None:
    story = Story()
    for run, flow in ((OTHER, "other"), (RUN, "own")):
        story.moves(0, "RUNNING", run=run, flow=flow, deployment="shared")
    story.beats(*every(30, 0, 120), run=OTHER)
    story.moves(120, "COMPLETED", run=OTHER)
    story.moves(130, "RUNNING", run=THIRD, deployment="shared")
    story.beats(130, run=THIRD)
    assert story.due(239) == NOTHING
    assert (THIRD, MISSING) in [(each.run, each.reason) for each in story.asked(240)]


def test_run_of_a_flow_that_never_beats_is_not_monitored() -> None:
    story = running()
    story.moves(0, "RUNNING", run=OTHER, flow="another")
    story.beats(*every(30, 0, DAY), run=OTHER)
    assert story.due(DAY) == NOTHING
    assert story.status() is Status.UNMONITORED


def test_run_that_never_beats_is_suspect_if_others_of_its_flow_have_done_so() -> None:
    story = Story()
    story.moves(0, "RUNNING", run=OTHER)
    story.beats(*every(30, 0, 120), run=OTHER)
    story.moves(120, "COMPLETED", run=OTHER)
    story.moves(200, "RUNNING")
    assert story.due(309) == NOTHING
    suspicion = story.judged(310)
    assert (suspicion.run, suspicion.reason, suspicion.anchor) == (RUN, NEVER, micros(200))
    assert story.status() is Status.SUSPECT


def test_run_that_never_beats_is_suspect_if_others_of_its_flow_do_so_later() -> None:
    story = running()
    assert story.due(600) == NOTHING
    story.moves(700, "RUNNING", run=OTHER)
    story.beats(*every(30, 700, 1140), run=OTHER)
    assert story.due(1160) == [NEVER]


def test_suspect_that_beats_at_last_has_recovered_and_may_then_become_a_zombie() -> None:
    story = running()
    story.moves(0, "RUNNING", run=OTHER)
    story.beats(*every(30, 0, 1140), run=OTHER)
    story.moves(1141, "COMPLETED", run=OTHER)
    assert story.judged(1160).reason is NEVER
    assert story.beats(1170, 1200, 1230) == [RECOVERED, None, None]
    assert story.due(1340) == [MISSING]


@pytest.mark.parametrize(
    ("state", "name"),
    [
        ("PAUSED", "Paused"),
        ("PAUSED", "Suspended"),
        ("SCHEDULED", "Scheduled"),
        ("SCHEDULED", "AwaitingRetry"),
        ("SCHEDULED", "AwaitingConcurrencySlot"),
        ("PENDING", "Pending"),
        ("CANCELLING", "Cancelling"),
    ],
)
def test_silence_is_right_in_every_state_but_running(state: str, name: str) -> None:
    story = beaten(300, limits=_only())
    story.moves(301, state, name=name)
    assert story.due(DAY) == NOTHING
    assert story.status() is Status.UNMONITORED


def test_paused_run_may_beat_and_must_beat_anew_when_it_is_resumed() -> None:
    story = beaten(300)
    story.moves(301, "PAUSED")
    story.beats(*every(30, 330, 900))
    assert story.status() is Status.UNMONITORED
    assert story.due(5000) == NOTHING
    story.moves(5001, "RUNNING")
    assert story.due(5110) == NOTHING
    assert story.due(5111) == [NEVER]
    story.beats(5120)
    assert story.due(5230) == [MISSING]


def test_retry_is_awaited_in_silence_and_the_next_attempt_needs_a_new_beat() -> None:
    story = beaten(300)
    story.moves(310, "SCHEDULED", name="AwaitingRetry")
    assert story.due(900) == NOTHING
    story.moves(905, "RUNNING", attempt=2)
    assert story.due(1014) == NOTHING
    assert [(each.reason, each.attempt, each.anchor) for each in story.asked(1015)] == [(NEVER, 2, micros(905))]
    story.beats(1020)
    assert [(each.reason, each.attempt) for each in story.asked(1130)] == [(MISSING, 2)]


def test_wait_for_a_retry_is_a_state_of_its_own() -> None:
    story = Story()
    story.moves(0, "SCHEDULED")
    story.moves(300, "SCHEDULED", name="AwaitingRetry")
    assert story.due(899) == NOTHING
    assert story.due(900) == [Reason.RETRY]


def test_late_beat_of_the_last_attempt_is_none_of_the_next() -> None:
    story = beaten(300)
    story.moves(310, "SCHEDULED", name="AwaitingRetry")
    story.moves(400, "RUNNING", attempt=2)
    story.beats(305, received=401)
    assert story.signs().beats == 0
    assert story.due(510) == [NEVER]


def test_forced_transition_from_running_to_running_begins_another_attempt() -> None:
    story = beaten(300)
    story.moves(400, "RUNNING", attempt=2)
    assert story.due(509) == NOTHING
    assert [(each.reason, each.since) for each in story.asked(510)] == [(NEVER, micros(400))]


def test_running_state_with_another_name_begins_nothing() -> None:
    story = beaten(300)
    story.moves(305, "RUNNING", name="Crunching")
    assert [(each.reason, each.since) for each in story.asked(410)] == [(MISSING, micros(300))]


def test_attempt_stays_known_where_a_transition_does_not_tell_it() -> None:
    story = Story()
    story.moves(0, "RUNNING", attempt=2)
    story.moves(10, "PENDING", attempt=None)
    assert story.signs().move.attempt == 2
    story.moves(20, "RUNNING", attempt=2)
    story.moves(30, "RUNNING", attempt=None)
    assert story.signs().since == micros(20)


def test_beats_that_come_hours_late_are_not_fresh() -> None:
    story = beaten(300)
    story.beats(*every(30, 330, 2 * HOUR), received=3 * HOUR)
    suspicion = story.asked(3 * HOUR)[0]
    assert (suspicion.reason, suspicion.since) == (MISSING, micros(2 * HOUR))


def test_beats_that_come_hours_late_and_up_to_now_show_a_living_run() -> None:
    story = beaten(300)
    story.beats(*every(30, 330, 3 * HOUR), received=3 * HOUR + 5)
    assert story.due(3 * HOUR + 100) == NOTHING


@pytest.mark.parametrize("apart", [0.0, 0.004, -0.004])
def test_each_beat_may_come_under_two_ids(apart: float) -> None:
    story = running()
    story.beats(*chain.from_iterable((each, each + apart) for each in every(180, 1, 3601)))
    assert story.due(3601 + 559) == NOTHING
    assert story.due(3601 + 561) == [MISSING]


def test_beats_may_come_in_another_order() -> None:
    story = beaten(300)
    story.beats(330, 390, 360, 420)
    assert [(each.since, each.deadline) for each in story.asked(DAY)] == [(micros(420), micros(420 + 110))]


@pytest.mark.parametrize("clock", [-10 * MINUTE, 10 * MINUTE, -DAY, DAY])
def test_senders_clock_may_be_wrong(clock: float) -> None:
    story = running()
    for each in every(30, 1, 3601):
        story.beats(each, clock=clock)
        assert story.due(each + 29) == NOTHING
    assert story.due(3601 + 110) == [MISSING]


@pytest.mark.parametrize("step", [-10 * MINUTE, -90, -30, 30, 90, 10 * MINUTE])
def test_senders_clock_may_be_set_at_any_beat(step: float) -> None:
    for last in every(30, 1, 601):
        story = running()
        for each in every(30, 1, 1201):
            story.beats(each, clock=step if each > last else 0)
            assert story.due(each + 29) == NOTHING
        assert story.due(1201 + 110) == [MISSING]


@pytest.mark.parametrize("kept", [2, 3])
def test_beats_may_be_lost(kept: int) -> None:
    story = beaten(300)
    for each in every(30 * kept, 330, 3600):
        story.beats(each)
        assert story.due(each + 30 * kept - 1) == NOTHING


def test_gap_that_is_learned_from_lost_beats_is_forgotten_by_the_third_after_it() -> None:
    story = running()
    story.beats(0, HOUR, HOUR + 30, HOUR + 60)
    assert story.due(HOUR + 170) == [MISSING]


def test_older_transition_changes_nothing() -> None:
    story = beaten(300)
    story.moves(-5, "PENDING")
    story.moves(-9, "COMPLETED")
    assert story.status() is Status.ALIVE
    assert story.due(410) == [MISSING]


def test_run_that_has_ended_is_not_brought_back_by_an_older_transition() -> None:
    story = beaten(300)
    story.moves(310, "COMPLETED")
    story.moves(0, "RUNNING")
    story.moves(310, "RUNNING")
    assert (len(story.tracker), story.due(DAY)) == (0, NOTHING)


def test_run_that_has_ended_is_brought_back_by_another_attempt() -> None:
    story = beaten(300)
    story.moves(310, "FAILED")
    story.moves(320, "SCHEDULED", name="AwaitingRetry")
    story.moves(330, "RUNNING", attempt=2)
    story.beats(331)
    assert (story.status(), story.signs().since) == (Status.ALIVE, micros(330))


def test_end_is_the_end_whatever_comes_at_the_same_instant() -> None:
    one, other = Story(), Story()
    one.moves(10, "RUNNING")
    one.moves(10, "COMPLETED")
    other.moves(10, "COMPLETED")
    other.moves(10, "RUNNING")
    assert (len(one.tracker), len(other.tracker)) == (0, 0)


def test_heartbeat_after_the_end_does_not_arm_again() -> None:
    story = beaten(300)
    story.moves(310, "COMPLETED")
    assert story.beats(330, 360) == [None, None]
    assert story.due(DAY) == NOTHING


def test_heartbeat_of_a_run_of_which_nothing_is_told_is_passed_over() -> None:
    story = Story()
    assert story.beats(0, 30) == [None, None]
    assert (len(story.tracker), story.due(DAY)) == (0, NOTHING)


def test_only_so_many_ends_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveness, "ENDED_KEPT", 2)
    story = Story()
    for number, run in enumerate((RUN, OTHER, THIRD)):
        story.moves(10 + number, "COMPLETED", run=run)
    for run in (RUN, OTHER, THIRD):
        story.moves(0, "RUNNING", run=run)
    assert [run for run, _, _ in story.tracker.statuses()] == [RUN]


@pytest.mark.parametrize("name", ["Late", "AwaitingConcurrencySlot", "Resuming"])
def test_scheduled_run_that_is_named_anew_is_as_late_as_before(name: str) -> None:
    story = Story()
    story.moves(0, "SCHEDULED")
    story.moves(1800, "SCHEDULED", name=name)
    assert story.due(HOUR - 1) == NOTHING
    assert [(each.reason, each.since) for each in story.asked(HOUR)] == [(Reason.SCHEDULED, micros(0))]


@pytest.mark.parametrize(
    ("state", "name", "limit", "reason"),
    [
        ("SCHEDULED", "Scheduled", HOUR, Reason.SCHEDULED),
        ("SCHEDULED", "AwaitingRetry", 600, Reason.RETRY),
        ("PENDING", "Pending", HOUR, Reason.PENDING),
        ("CANCELLING", "Cancelling", 600, Reason.CANCELLING),
        ("RUNNING", "Running", 2 * HOUR, Reason.RUNNING),
    ],
)
def test_run_is_overdue_that_is_in_a_state_for_too_long(state: str, name: str, limit: int, reason: Reason) -> None:
    story = Story(replace(USUAL, running=2 * HOUR * SECOND))
    story.moves(0, state, name=name)
    assert story.due(limit - 1) == NOTHING
    suspicion = story.judged(limit)
    assert suspicion == Suspicion(RUN, reason, 1, micros(0), micros(limit), micros(0))
    assert story.status() is Status.OVERDUE


def test_time_in_a_state_is_counted_anew_for_another_attempt() -> None:
    story = Story(replace(USUAL, running=HOUR * SECOND, factor=None))
    story.moves(0, "RUNNING")
    story.moves(1800, "RUNNING", attempt=2)
    assert story.due(HOUR) == NOTHING
    assert story.due(1800 + HOUR) == [Reason.RUNNING]


@pytest.mark.parametrize(("name", "limit"), [("Scheduled", HOUR), ("AwaitingRetry", 600)])
def test_scheduled_run_is_late_from_its_due_time_on(name: str, limit: int) -> None:
    story = Story()
    story.moves(0, "SCHEDULED", name=name)
    story.tracker.expect(RUN, micros(DAY))
    assert story.due(DAY + limit - 1) == NOTHING
    assert story.due(DAY + limit) != NOTHING


def test_due_time_of_the_past_is_no_excuse_and_no_reproach() -> None:
    story = Story()
    story.moves(0, "SCHEDULED")
    story.tracker.expect(RUN, micros(-DAY))
    assert story.due(HOUR - 1) == NOTHING
    assert story.due(HOUR) == [Reason.SCHEDULED]


def test_due_time_is_that_of_one_wait_only() -> None:
    story = Story()
    story.moves(0, "SCHEDULED")
    story.tracker.expect(RUN, micros(DAY))
    story.moves(10, "RUNNING")
    story.moves(20, "SCHEDULED", name="AwaitingRetry")
    assert story.due(620) == [Reason.RETRY]


def test_zombie_is_announced_once() -> None:
    story = zombie()
    assert story.status() is Status.ZOMBIE
    assert story.due(DAY) == NOTHING


def test_suspicion_without_a_verdict_comes_again() -> None:
    story = beaten(300)
    assert story.due(410) == [MISSING]
    again = 410 + CHECK_AGAIN // SECOND
    assert story.due(again - 1) == NOTHING
    assert story.due(again) == [MISSING]


def test_refuted_suspicion_comes_again_when_its_new_time_is_up() -> None:
    story = beaten(300)
    story.asked(410)
    story.beats(305, received=411)
    story.tracker.refuted(RUN, micros(411))
    assert story.due(414) == NOTHING
    assert story.due(415) == [MISSING]


def test_suspicion_refuted_by_what_only_the_server_knows_does_not_come_again_at_once() -> None:
    story = beaten(300)
    story.asked(410)
    story.tracker.refuted(RUN, micros(411))
    assert story.due(412) == NOTHING


def test_zombie_recovers_with_a_beat_and_its_second_death_is_another() -> None:
    story = beaten(300)
    first = story.judged(411)
    assert story.due(999) == NOTHING
    assert story.beats(1000, 1030) == [RECOVERED, None]
    assert story.status() is Status.ALIVE
    second = story.judged(1030 + 110)
    assert (first.anchor, second.anchor) == (micros(300), micros(1030))
    assert story.status() is Status.ZOMBIE


def test_recovery_is_known_by_the_beat_that_proves_it() -> None:
    story = zombie()
    recovered = story.tracker.beat(RUN, micros(1000), micros(1000), micros(1000))
    assert recovered == Suspicion(RUN, RECOVERED, 1, micros(1000), micros(1000), micros(1000), 30 * SECOND)


@pytest.mark.parametrize("sent", [270, 300, 330, 889])
def test_zombie_does_not_recover_with_a_beat_whose_own_deadline_is_past(sent: float) -> None:
    story = zombie()
    assert story.beats(sent, received=1000) == [None]
    assert story.status() is Status.ZOMBIE


def test_zombie_does_not_recover_with_a_bunch_of_late_beats() -> None:
    story = zombie()
    assert set(story.beats(*every(30, 330, 3000), received=4000)) == {None}
    assert story.due(5000) == NOTHING


def test_zombie_with_one_beat_recovers_by_the_deadline_that_condemned_it() -> None:
    story = Story()
    story.moves(0, "RUNNING", run=OTHER)
    story.beats(*every(30, 0, 90), run=OTHER)
    story.moves(100, "COMPLETED", run=OTHER)
    story.moves(200, "RUNNING")
    story.beats(200)
    story.judged(310)
    assert story.beats(230, received=350) == [None]
    assert story.due(380) == NOTHING
    assert story.beats(380) == [RECOVERED]


def test_zombie_does_not_recover_when_it_is_learned_that_others_beat_more_seldom() -> None:
    story = Story()
    for run in (OTHER, RUN):
        story.moves(0, "RUNNING", run=run)
    story.beats(0, 30, run=OTHER)
    story.beats(30)
    assert {each.run for each in story.asked(140)} == {OTHER, RUN}
    story.tracker.stand(RUN, Standing(MISSING))
    story.moves(150, "RUNNING", run=THIRD)
    story.beats(150, 330, run=THIRD)
    assert story.beats(30, received=340) == [None]


def test_zombie_recovers_when_it_moves_on() -> None:
    story = zombie()
    assert story.moves(500, "SCHEDULED", name="AwaitingRetry") is MOVED_ON
    assert story.status() is Status.UNMONITORED
    assert story.moves(510, "RUNNING", attempt=2) is None


@pytest.mark.parametrize("state", ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"])
def test_end_of_a_zombie_is_no_recovery(state: str) -> None:
    assert zombie().moves(500, state) is None


def test_verdict_outlives_another_name_of_the_state() -> None:
    story = zombie()
    assert story.moves(500, "RUNNING", name="Crunching") is None
    assert story.status() is Status.ZOMBIE


def test_overdue_run_recovers_when_it_moves_on_and_not_by_a_beat() -> None:
    story = beaten(HOUR, limits=replace(USUAL, running=HOUR * SECOND))
    assert story.judged(HOUR + 1).reason is Reason.RUNNING
    assert story.beats(HOUR + 30) == [None]
    assert story.moves(HOUR + 60, "CANCELLING") is MOVED_ON


def test_overdue_run_can_still_become_a_zombie_and_is_overdue_after_it_recovered() -> None:
    story = beaten(HOUR, limits=replace(USUAL, running=HOUR * SECOND))
    assert story.judged(HOUR + 1).reason is Reason.RUNNING
    assert story.judged(HOUR + 110).reason is MISSING
    assert story.status() is Status.ZOMBIE
    assert story.beats(2 * HOUR) == [RECOVERED]
    assert story.judged(2 * HOUR).reason is Reason.RUNNING


def test_beat_after_a_crash_is_reported_once() -> None:
    story = beaten(300)
    story.moves(310, "CRASHED")
    assert story.beats(330, 360, 390) == [None, UNDEAD, None]
    assert story.due(DAY) == NOTHING


def test_undead_run_is_known_by_its_crash() -> None:
    story = beaten(300)
    story.moves(310, "CRASHED", attempt=None)
    found = story.tracker.beat(RUN, micros(360), micros(360), micros(360))
    assert found == Suspicion(RUN, UNDEAD, 1, micros(310), micros(310), micros(310), 30 * SECOND)


@pytest.mark.parametrize("received", [[400] * 20, every(30, 400, 970)], ids=["in a bunch", "one by one"])
def test_late_beats_from_before_the_crash_do_not_make_it_undead(received: list[float]) -> None:
    story = beaten(300)
    story.moves(900, "CRASHED")
    late = zip(every(30, 330, 900), received, strict=True)
    assert [story.beats(sent, received=each + 900) for sent, each in late] == [[None]] * 20


def test_crashed_run_whose_senders_clock_is_unknown_cannot_be_told_to_be_undead() -> None:
    story = running()
    story.moves(310, "CRASHED")
    assert story.beats(360, 390) == [None, None]


@pytest.mark.parametrize("state", ["COMPLETED", "FAILED", "CANCELLED"])
def test_beat_after_another_end_is_nothing(state: str) -> None:
    story = beaten(300)
    story.moves(310, "CRASHED")
    story.moves(340, state)
    assert story.beats(390) == [None]


def test_run_that_crashes_again_in_another_attempt_can_be_undead_again() -> None:
    story = beaten(300)
    story.moves(310, "CRASHED")
    assert story.beats(360) == [UNDEAD]
    story.moves(400, "RUNNING", attempt=2)
    assert story.status() is Status.UNMONITORED
    story.beats(401, 431)
    story.moves(450, "CRASHED", attempt=2)
    assert story.beats(500) == [UNDEAD]


def test_crash_that_is_told_twice_is_one() -> None:
    story = beaten(300)
    story.moves(310, "CRASHED")
    story.moves(311, "CRASHED")
    assert story.beats(360) == [UNDEAD]


def test_silence_from_before_we_could_hear_is_not_held_against_anybody() -> None:
    story = beaten(300)
    story.tracker.see(micros(3000))
    assert story.due(3109) == NOTHING
    assert [(each.since, each.deadline) for each in story.asked(3110)] == [(micros(300), micros(3110))]


def test_hearing_again_is_no_reason_to_wait_less() -> None:
    story = beaten(300)
    story.tracker.see(micros(250))
    assert story.due(410) == [MISSING]


@pytest.mark.parametrize(
    ("state", "name", "off"),
    [
        ("SCHEDULED", "Scheduled", {"scheduled": None}),
        ("SCHEDULED", "AwaitingRetry", {"retry": None}),
        ("PENDING", "Pending", {"pending": None}),
        ("CANCELLING", "Cancelling", {"cancelling": None}),
        ("RUNNING", "Running", {"factor": None}),
        ("RUNNING", "Running", {"never_heartbeat": False}),
    ],
)
def test_rule_may_be_switched_off(state: str, name: str, off: dict[str, Any]) -> None:
    story = Story(replace(USUAL, **off))
    story.moves(0, "RUNNING", run=OTHER)
    story.beats(*every(30, 0, 90), run=OTHER)
    story.moves(99, "COMPLETED", run=OTHER)
    story.moves(100, state, name=name)
    assert story.due(DAY) == NOTHING


def test_without_the_rule_of_missing_heartbeats_no_silence_is_too_long() -> None:
    story = beaten(300, limits=replace(USUAL, factor=None))
    assert story.due(DAY) == NOTHING
    assert story.status() is Status.ALIVE


def test_each_run_has_the_limits_that_its_newest_transition_asks_for() -> None:
    tracker = Tracker(lambda move: replace(USUAL, pending=60 * SECOND) if "urgent" in move.tags else USUAL)
    tracker.moved(RUN, Move(micros(0), StateType.PENDING, "Pending", 1, tags=("urgent",)))
    tracker.moved(OTHER, Move(micros(0), StateType.PENDING, "Pending", 1))
    tracker.moved(THIRD, Move(micros(0), StateType.PENDING, "Pending", 1))
    tracker.moved(THIRD, Move(micros(50), StateType.PENDING, "Submitting", 1, tags=("urgent",)))
    assert [each.run for each in tracker.due(micros(60))] == [RUN, THIRD]


def test_suspicion_holds_until_something_speaks_against_it() -> None:
    story = beaten(300)
    (suspicion,) = story.asked(410)
    assert story.tracker.is_still_due(suspicion, micros(411))
    story.beats(305, received=411)
    assert not story.tracker.is_still_due(suspicion, micros(411))


@pytest.mark.parametrize("state", ["COMPLETED", "PAUSED"])
def test_suspicion_does_not_hold_of_a_run_that_moved_on(state: str) -> None:
    story = beaten(300)
    (suspicion,) = story.asked(410)
    story.moves(411, state)
    assert not story.tracker.is_still_due(suspicion, micros(412))


def test_suspicion_does_not_hold_of_a_run_that_is_due_later_than_we_knew() -> None:
    story = Story()
    story.moves(0, "SCHEDULED")
    (suspicion,) = story.asked(HOUR)
    story.tracker.expect(RUN, micros(DAY))
    assert not story.tracker.is_still_due(suspicion, micros(HOUR))


def test_suspicion_holds_beside_another_of_the_same_run() -> None:
    story = beaten(300, limits=replace(USUAL, running=409 * SECOND))
    (suspicion,) = story.asked(409)
    assert suspicion.reason is Reason.RUNNING
    assert story.tracker.is_still_due(suspicion, micros(DAY))


def test_suspicion_does_not_hold_because_of_another_of_the_same_run() -> None:
    story = Story(replace(USUAL, running=120 * SECOND))
    story.moves(0, "RUNNING", run=OTHER)
    story.beats(0, 30, run=OTHER)
    story.tracker.forget(OTHER)
    story.moves(100, "RUNNING")
    (suspicion,) = story.asked(210)
    assert suspicion.reason is NEVER
    story.tracker.see(micros(250))
    assert story.due(250) == [Reason.RUNNING]
    assert not story.tracker.is_still_due(suspicion, micros(250))


def test_run_that_is_forgotten_is_never_due() -> None:
    story = beaten(300)
    story.tracker.forget(RUN)
    assert (len(story.tracker), story.tracker.get(RUN), story.due(DAY)) == (0, None, NOTHING)
    story.tracker.forget(RUN)


def test_no_more_is_due_at_once_than_is_wanted() -> None:
    story = Story()
    for number in range(25):
        story.moves(number, "PENDING", run=UUID(int=number))
    found = [len(story.tracker.due(micros(DAY), most=10)) for _ in range(4)]
    assert found == [10, 10, 5, 0]


@pytest.mark.parametrize("reason", [UNDEAD, RECOVERED, MOVED_ON])
def test_verdict_about_an_instant_does_not_stand(reason: Reason) -> None:
    story = beaten(300)
    story.tracker.stand(RUN, Standing(reason))
    assert story.status() is Status.ALIVE


def test_status_is_told_of_all_runs_that_have_not_ended() -> None:
    story = zombie()
    story.moves(0, "PENDING", run=OTHER)
    story.moves(0, "COMPLETED", run=THIRD)
    assert _statuses(story.tracker.statuses()) == {RUN: Status.ZOMBIE, OTHER: Status.UNMONITORED}


def _statuses(found: Iterable[tuple[UUID, LifeSigns, Status]]) -> dict[UUID, Status]:
    return {run: status for run, _, status in found}


def _only(**limits: Any) -> Limits:
    """Return limits without rules but those for silence, and these."""
    return replace(USUAL, **{"pending": None, "cancelling": None, "retry": None, "scheduled": None, **limits})
