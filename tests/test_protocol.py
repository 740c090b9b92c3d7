"""What may be retried, how long to wait, and that a sweep reads all there is."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.protocol import (
    MICROSECOND,
    PAGE_SIZE,
    Burst,
    Position,
    is_fatal_close,
    is_fatal_status,
    is_retryable_status,
    retry_after_seconds,
)

START = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
FAR = START + timedelta(days=365)

STATUSES = {
    401: "fatal",
    403: "fatal",
    404: "refused",
    408: "again",
    422: "refused",
    425: "again",
    426: "refused",
    429: "again",
    500: "again",
    502: "again",
    503: "again",
    504: "again",
}

CLOSE_CODES = {1000: False, 1001: False, 1002: False, 1006: False, 1008: True, 1009: False, 1011: False, 1012: False}


@pytest.mark.parametrize(("status", "verdict"), STATUSES.items())
def test_an_http_status_is_fatal_worth_another_try_or_neither(status: int, verdict: str) -> None:
    assert (is_fatal_status(status), is_retryable_status(status)) == (verdict == "fatal", verdict == "again")


@pytest.mark.parametrize(("code", "fatal"), [*CLOSE_CODES.items(), (None, False)])
def test_only_a_policy_violation_closes_for_good(code: int | None, fatal: bool) -> None:
    assert is_fatal_close(code) is fatal


RETRY_AFTER = {
    "0": 0.0,
    "12": 12.0,
    " 1.5 ": 1.5,
    "-3": 0.0,
    "301": 300.0,
    "1e400": 300.0,
    "inf": 300.0,
    "nan": None,
    "Sat, 21 Nov 2026 02:00:00 GMT": None,
    "soon": None,
    "": None,
    None: None,
}


@pytest.mark.parametrize(("header", "seconds"), RETRY_AFTER.items())
def test_retry_after_is_a_number_of_seconds_within_reason(header: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(header) == seconds


@settings(deadline=None)
@given(st.text())
def test_retry_after_is_never_a_wait_that_cannot_be_waited(header: str) -> None:
    seconds = retry_after_seconds(header, cap=60)
    assert seconds is None or 0 <= seconds <= 60


def test_a_page_is_asked_for_oldest_first_into_the_future_without_heartbeats() -> None:
    body = Position(START, FAR).body()
    assert body["limit"] == PAGE_SIZE == 50
    assert body["filter"]["order"] == "ASC"
    assert body["filter"]["event"] == {
        "prefix": ["prefect.flow-run."],
        "exclude_name": ["prefect.flow-run.heartbeat"],
    }
    assert body["filter"]["occurred"] == {
        "since": START.isoformat(),
        "until": FAR.isoformat(),
    }


def test_an_instant_is_asked_for_alone() -> None:
    assert Position(START, FAR, instant=True).body()["filter"]["occurred"] == dict.fromkeys(
        ("since", "until"), START.isoformat()
    )


@dataclass
class Server:
    """The events a server has, by when they occurred, and how a sweep reads them."""

    events: list[datetime]
    requests: int = 0

    def asked(self, position: Position) -> list[int]:
        """Return all that a request matches, by number; a page is the first 50 of them."""
        self.requests += 1
        window = position.body()["filter"]["occurred"]
        since, until = (datetime.fromisoformat(window[edge]) for edge in ("since", "until"))
        found = [number for number, occurred in enumerate(self.events) if since <= occurred <= until]
        return sorted(found, key=lambda number: self.events[number])

    def swept(self, position: Position | None) -> set[int]:
        """Return what a sweep from here reads: a page each, but through an instant the page token leads to the end."""
        seen: set[int] = set()
        while position:
            found = self.asked(position)
            page = found[:PAGE_SIZE]
            seen.update(found if position.instant else page)
            position = position.advanced([self.events[number] for number in page], full=len(page) == PAGE_SIZE)
            assert self.requests <= 3 + 3 * len(self.events), "the sweep does not come to an end"
        return seen


@st.composite
def crowded(draw: st.DrawFn) -> list[datetime]:
    """Draw when events occurred, with up to three pages of them at one instant, in any order of arrival."""
    crowds = draw(st.lists(st.tuples(st.integers(0, 12), st.integers(1, 9) | st.integers(1, 160)), max_size=8))
    moments = [START + offset * MICROSECOND for offset, count in crowds for _ in range(count)]
    return draw(st.permutations(moments)) if len(moments) < 60 else moments


@settings(deadline=None)
@given(crowded(), st.integers(-2, 14))
def test_a_sweep_reads_every_event_from_its_start_on_and_ends(events: list[datetime], offset: int) -> None:
    since = START + offset * MICROSECOND
    swept = Server(events).swept(Position(since, FAR))
    assert swept == {number for number, occurred in enumerate(events) if occurred >= since}


@pytest.mark.parametrize("count", [0, 1, 49, 50, 51, 99, 100, 101, 150])
def test_a_sweep_reads_events_that_all_occurred_at_once(count: int) -> None:
    assert len(Server([START] * count).swept(Position(START, FAR))) == count


@pytest.mark.parametrize("size", [1, 49])
def test_a_page_that_is_not_full_was_the_last(size: int) -> None:
    assert Position(START, FAR).advanced([FAR] * size, full=False) is None


def test_a_position_never_goes_back() -> None:
    older = [START - timedelta(seconds=1)] * PAGE_SIZE
    assert Position(START, FAR).advanced(older, full=True) == Position(START, FAR, instant=True)


def test_the_upper_bound_is_kept_to_the_microsecond() -> None:
    moments = [START] * 120 + [START + MICROSECOND] * 120
    assert len(Server(moments).swept(Position(START, START))) == 120


def test_a_burst_is_noticed_once_in_its_second() -> None:
    burst = Burst(most=3)
    noticed = [burst.noticed(now) for now in (0.1, 0.2, 0.3, 0.9, 1.0, 1.1, 2.0, 2.1, 2.2)]
    assert noticed == [False, False, True, False, False, False, False, False, True]
