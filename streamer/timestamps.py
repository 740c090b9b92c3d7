"""Times as the store keeps them: whole microseconds since 1970 (UTC), so that bounds are exact."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(moment: datetime) -> int:
    """Return microseconds since 1970 of an aware time."""
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the aware time (UTC) of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=micros)
