"""When a beat was sent, whatever its sender's clock shows and however late it came; and how far apart beats are."""

from itertools import chain

import pytest

from schemas import StateType
from streamer.lifesigns import GENERATION, LifeSigns
from streamer.suspicion import SECOND, USUAL, Move

START = 1_795_000_000
MINUTE, HOUR = 60, 3600


def running(since: float = 0) -> LifeSigns:
    return LifeSigns(Move(micros(since), StateType.RUNNING, "Running", 1), USUAL)


def micros(second: float) -> int:
    return round((START + second) * SECOND)


def second(moment: int) -> float:
    return moment / SECOND - START


def beat(signs: LifeSigns, *seconds: float, clock: float = 0, received: float | None = None) -> float:
    """Beat at these; return when the last was sent, as far as could be told."""
    for each in seconds:
        sent = signs.beat(micros(each + clock), micros(each if received is None else received))
    return second(sent)


def every(interval: float, start: float, end: float) -> list[float]:
    return [start + number * interval for number in range(int((end - start) / interval) + 1)]


@pytest.mark.parametrize("clock", [-10 * MINUTE, -20, 0, 7.5, 10 * MINUTE])
def test_wrong_clock_is_put_right(clock: float) -> None:
    signs = running()
    assert [beat(signs, each, clock=clock) for each in every(30, 0, 600)] == every(30, 0, 600)
    assert signs.anchor == micros(600 + clock)


def test_beat_that_comes_hours_late_was_sent_when_it_was_sent() -> None:
    signs = running()
    beat(signs, *every(30, 0, 300))
    assert beat(signs, 330, received=3 * HOUR) == 330
    assert second(signs.life) == 330


@pytest.mark.parametrize("number", [GENERATION, 2 * GENERATION + 1, 1_000])
def test_bunch_of_late_beats_is_no_evidence_of_the_clock_however_large(number: int) -> None:
    signs = running()
    beat(signs, *every(30, 0, 300))
    late = every(30, 330, 330 + 30 * (number - 1))
    assert [beat(signs, each, received=late[-1] + HOUR) for each in late] == late


def test_first_beat_is_believed_to_be_fresh_since_nothing_speaks_against_it() -> None:
    assert beat(running(), 30, received=HOUR) == HOUR


def test_bunch_that_comes_first_is_put_right_by_its_last() -> None:
    signs = running()
    beat(signs, *every(30, 0, HOUR), received=HOUR)
    assert beat(signs, HOUR + 30, received=2 * HOUR) == HOUR + 30


@pytest.mark.parametrize("step", [-10 * MINUTE, -30, 30, 10 * MINUTE])
def test_clock_that_is_set_is_noticed_at_the_second_beat(step: float) -> None:
    signs = running()
    beat(signs, *every(30, 0, 600))
    beat(signs, 630, clock=step)
    assert beat(signs, 660, clock=step) == 660
    assert second(signs.life) == 660


def test_clock_that_is_set_forward_is_noticed_at_once() -> None:
    signs = running()
    beat(signs, *every(30, 0, 600))
    assert beat(signs, 630, clock=10 * MINUTE) == 630


def test_single_beat_from_the_future_is_forgotten_at_the_second_after_it() -> None:
    signs = running()
    beat(signs, *every(30, 0, 300))
    beat(signs, 330, clock=HOUR)
    beat(signs, 360)
    assert beat(signs, 390) == 390


def test_clock_that_loses_time_slowly_is_followed() -> None:
    signs, lost = running(), 0.0
    for each in every(30, 0, 6 * HOUR):
        lost += 0.5
        assert each - beat(signs, each, clock=-lost) < 10 * 0.5


def test_life_never_goes_back() -> None:
    signs = running()
    beat(signs, 0, 30, 60)
    beat(signs, 45, received=61)
    assert second(signs.life) == 60


def test_beat_of_the_state_before_is_no_sign_of_life_in_this_one() -> None:
    signs = running()
    beat(signs, *every(30, 0, 90))
    signs.begin(micros(100))
    beat(signs, 95, received=130)
    assert (signs.beats, second(signs.life)) == (0, 100)


def test_beat_that_was_received_before_the_state_began_is_none_of_it() -> None:
    signs = running(since=100)
    beat(signs, 95)
    assert (signs.beats, second(signs.life)) == (0, 100)


def test_first_beat_of_a_state_counts_though_late_ones_of_the_state_before_come_with_it() -> None:
    signs = running()
    beat(signs, *every(30, 0, 90))
    signs.begin(micros(100))
    beat(signs, 95, received=160)
    beat(signs, 125, received=160)
    assert (signs.beats, second(signs.life)) == (1, 125)


def test_slower_clock_of_the_next_attempt_is_noticed_at_its_second_beat() -> None:
    signs = running()
    beat(signs, *every(30, 0, 90))
    signs.begin(micros(100))
    beat(signs, 101, 131, clock=-10 * MINUTE)
    assert (signs.beats, second(signs.life)) == (1, 131)


def test_interval_is_unknown_until_a_second_beat() -> None:
    signs = running()
    beat(signs, 0)
    assert signs.interval is None


@pytest.mark.parametrize(
    ("beats", "interval"),
    [
        ([0, 30], 30),
        ([0, 600], 600),
        ([0, 30, 90], 30),
        ([0, 60, 90], 30),
        ([0, 30, 60, 120], 30),
        ([0, 30, 90, 150], 60),
        ([0, 30, 60, HOUR], 30),
        ([0, 30.4, 60.6, 91.1], 30),
    ],
    ids=str,
)
def test_interval_is_the_usual_gap_in_whole_seconds(beats: list[float], interval: int) -> None:
    signs = running()
    beat(signs, *beats)
    assert signs.interval == interval * SECOND


def test_interval_is_not_learned_from_one_beat_under_two_ids() -> None:
    signs = running()
    beat(signs, *chain.from_iterable((each, each + 0.004) for each in every(180, 0, 900)))
    assert signs.interval == 180 * SECOND


@pytest.mark.parametrize("received", [200, 3 * HOUR])
def test_interval_is_not_learned_from_beats_that_came_late(received: float) -> None:
    signs = running()
    beat(signs, 0, 60, 120)
    beat(signs, 130, 140, 150, 160, received=received)
    beat(signs, received + 20)
    assert signs.interval == 60 * SECOND


def test_interval_is_not_learned_from_a_clock_that_was_set() -> None:
    signs = running()
    beat(signs, 0)
    beat(signs, 180, clock=-150)
    assert signs.interval is None


def test_interval_is_learned_from_the_order_in_which_the_server_received_them() -> None:
    signs = running()
    beat(signs, 0, 30, 90, 60, 120)
    assert signs.gap == 30 * SECOND


def test_wait_between_two_states_is_no_interval() -> None:
    signs = running()
    beat(signs, 0)
    signs.begin(micros(100))
    beat(signs, 200)
    assert signs.interval is None


def test_interval_outlives_the_attempt() -> None:
    signs = running()
    beat(signs, 0, 30, 60)
    signs.begin(micros(100))
    beat(signs, 200)
    assert signs.interval == 30 * SECOND
