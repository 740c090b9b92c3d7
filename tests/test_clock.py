"""The server's clock as its answers show it."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.clock import ServerClock, SystemClock

START = datetime(2026, 11, 21, 2, 3, 47, tzinfo=UTC)


class HandClock:
    """A clock that a test moves; its time of day is an hour slow."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> datetime:
        return START - timedelta(hours=1) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


class Server:
    """A server that answers with its time, cut to the second as HTTP does."""

    def __init__(self, local: HandClock) -> None:
        self.local = local
        self.offset = timedelta(seconds=0.618)

    @property
    def time(self) -> datetime:
        return START + self.offset + timedelta(seconds=self.local.seconds)

    def answers(self, clock: ServerClock, *pauses: float) -> float:
        """Answer after each pause; return by how many seconds the clock is then wrong."""
        for pause in pauses:
            self.local.seconds += pause
            clock.observe(format_datetime(self.time.replace(microsecond=0), usegmt=True))
        return (clock.now() - self.time).total_seconds()


def test_before_the_server_answered_our_own_time_is_taken() -> None:
    local = HandClock()
    assert ServerClock(local).now() == local.now()


@settings(deadline=None)
@given(st.lists(st.floats(0, 100), min_size=1, max_size=20), st.floats(0, 1))
def test_the_clock_is_never_ahead_of_the_server_nor_a_second_behind(pauses: list[float], fraction: float) -> None:
    local = HandClock()
    server = Server(local)
    server.offset = timedelta(seconds=fraction)
    assert -1 < server.answers(ServerClock(local), *pauses) <= 0.00001


def test_with_more_answers_the_clock_comes_nearer_than_the_header_tells() -> None:
    local = HandClock()
    server, clock = Server(local), ServerClock(local)
    errors = [abs(server.answers(clock, 1.07)) for _ in range(20)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.08


def test_between_answers_the_clock_goes_on() -> None:
    local = HandClock()
    server, clock = Server(local), ServerClock(local)
    before = server.answers(clock, 0)
    local.seconds += 3600
    assert (clock.now() - server.time).total_seconds() == pytest.approx(before)


@pytest.mark.parametrize("seconds", [3600.0, 10.0, 3.0, -3.0, -10.0, -3600.0])
def test_a_step_of_the_server_s_clock_is_followed_when_two_answers_say_so(seconds: float) -> None:
    local = HandClock()
    server, clock = Server(local), ServerClock(local)
    server.answers(clock, *[0.3] * 10)
    server.offset += timedelta(seconds=seconds)
    assert abs(server.answers(clock, 1)) > 1, "one answer's word is not enough"
    assert -1 < server.answers(clock, 1) <= 0


NONSENSE = [
    None,
    "",
    " ",
    "yesterday",
    "Sat, 99 Nov 2026 02:00:00 GMT",
    "Sat, 21 Nov 2026 02:00:00 -0000",
    "Sat, 21 Nov 99999999999999999999 02:00:00 GMT",
    "Sat, 21 Nov 2026 02:00:00 +99999999999999999999",
]


@pytest.mark.parametrize("header", NONSENSE)
def test_nonsense_is_passed_over(header: str | None) -> None:
    local = HandClock()
    server, clock = Server(local), ServerClock(local)
    before = server.answers(clock, 0)
    clock.observe(header)
    assert (clock.now() - server.time).total_seconds() == before


@settings(deadline=None)
@given(st.text() | st.from_regex(r"[0-9]{1,30} Nov -?[0-9]{1,30} [0-9:]{1,20} [+-]?[0-9GMT]{0,20}", fullmatch=True))
def test_no_header_breaks_the_clock(header: str) -> None:
    ServerClock(HandClock()).observe(header)


def test_our_own_clock_is_aware_and_does_not_go_back() -> None:
    clock = SystemClock()
    assert clock.now().tzinfo is UTC
    assert clock.monotonic() <= clock.monotonic()
    assert ServerClock(clock).monotonic() <= clock.monotonic()
