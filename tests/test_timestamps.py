"""Times as whole microseconds, exactly."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.timestamps import from_micros, to_micros

zones = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(timezones=zones)
inner = moments.filter(lambda moment: 1 < moment.year < 9999)
edges = st.builds(
    lambda edge, zone: edge.replace(tzinfo=zone),
    st.sampled_from([datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]),
    zones,
)


@settings(deadline=None)
@given(inner)
def test_a_time_comes_back_to_the_microsecond_and_in_utc(moment: datetime) -> None:
    again = from_micros(to_micros(moment))
    assert (again, again.tzinfo) == (moment, UTC)


@settings(deadline=None)
@given(moments, moments)
def test_numbers_are_in_the_order_of_the_times(one: datetime, other: datetime) -> None:
    assert (to_micros(one) < to_micros(other)) <= (one < other)


@settings(deadline=None)
@given(moments | edges)
def test_whatever_is_stored_can_be_read(moment: datetime) -> None:
    assert abs(from_micros(to_micros(moment)) - moment) <= timedelta(hours=23)


@pytest.mark.parametrize(
    ("moment", "micros"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), 0),
        (datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), -1),
        (datetime(2026, 11, 21, 2, 3, 47, 10_932, tzinfo=UTC), 1_795_226_627_010_932),
        (datetime(1970, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))), 0),
    ],
)
def test_microseconds_count_from_1970(moment: datetime, micros: int) -> None:
    assert to_micros(moment) == micros


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(TypeError):
        to_micros(datetime(2026, 1, 1))  # noqa: DTZ001 - it is what is refused
