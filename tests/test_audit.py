"""Which windows are compared, when, and what a difference leads to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.audit import AGES, HOUR, MINUTE, READ_AT_MOST, SECOND, Finding, Track, Window, judge, tracks

WIDE = Window(0, HOUR)


def test_window_is_due_when_it_is_old_enough() -> None:
    track = Track(age=10 * SECOND, width=15 * SECOND, position=0)
    assert track.due(25 * SECOND - 1) is None
    assert track.due(25 * SECOND) == Window(0, 15 * SECOND)
    assert track.next_due() == 25 * SECOND


def test_backlog_is_one_window() -> None:
    track = Track(age=10 * SECOND, width=15 * SECOND, position=0)
    assert track.due(HOUR) == Window(0, 239 * 15 * SECOND)


@given(st.lists(st.integers(0, 10 * MINUTE), max_size=30))
def test_windows_follow_each_other_without_gap_or_overlap(steps: list[int]) -> None:
    track, now, covered = Track(age=10 * SECOND, width=15 * SECOND, position=0), 0, 0
    for step in steps:
        now += step
        while window := track.due(now):
            assert window.start == covered
            assert window.end <= now - track.age
            covered = track.position = window.end
    assert now - covered < track.age + track.width or covered == 0


@given(st.integers(0, 10**16), st.integers(2, 10**12))
def test_halves_are_the_whole(start: int, width: int) -> None:
    left, right = Window(start, start + width).halves()
    assert (left.start, left.end, right.end) == (start, right.start, start + width)
    assert left.end > left.start
    assert right.end > right.start
    assert left.last + 1 == right.start, "the server's bounds are inclusive: an event on the border is in one half"


@pytest.mark.parametrize(
    ("theirs", "ours", "finding"),
    [
        (0, 0, Finding.EQUAL),
        (700, 700, Finding.EQUAL),
        (50, 0, Finding.READ),
        (500, 499, Finding.READ),
        (501, 500, Finding.SPLIT),
        (5_000, 650, Finding.READ),
        (5_000, 4_990, Finding.SPLIT),
        (READ_AT_MOST + 1, 0, Finding.SPLIT),
        (0, 1, Finding.READ),
        (600, 601, Finding.SPLIT),
    ],
)
def test_difference_is_read_where_most_is_missing_and_halved_where_little_is(
    theirs: int, ours: int, finding: Finding
) -> None:
    assert judge(WIDE, theirs=theirs, ours=ours) is finding


def test_single_microsecond_is_read_however_full() -> None:
    assert judge(Window(5, 6), theirs=10**6, ours=0) is Finding.READ


def test_start_goes_on_at_the_watermark_and_looks_back_further_at_each_age() -> None:
    watermark = 100 * HOUR
    first, *others = tracks(watermark=watermark, floor=0)
    assert (first.age, first.position) == (10 * SECOND, watermark)
    assert [track.position for track in others] == [watermark - age - HOUR for age, _ in AGES[1:]]


def test_start_never_looks_before_what_was_to_be_read() -> None:
    floor = 99 * HOUR
    assert all(track.position >= floor for track in tracks(watermark=100 * HOUR, floor=floor))


def test_idle_service_compares_five_windows_a_minute() -> None:
    found = 0
    for track in tracks(watermark=0, floor=0):
        for second in range(24 * 3600, 26 * 3600):
            while window := track.due(second * SECOND):
                track.position = window.end
                found += 1
    assert found / 120 < 6
