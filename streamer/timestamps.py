"""Times as the store keeps them: whole microseconds since 1970 (UTC), so that bounds are exact."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
_LAST = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND


def to_micros(moment: datetime) -> int:
    """Return microseconds since 1970 of an aware time; one that UTC's calendar lacks becomes the nearest it has."""
    since = moment - _EPOCH
    micros = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    return micros if _FIRST <= micros <= _LAST else min(max(micros, _FIRST), _LAST)


def from_micros(micros: int) -> datetime:
    """Return the aware time (UTC) of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=micros)
