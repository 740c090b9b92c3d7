"""Clocks: this machine's, and a server's as its answers show it."""

import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from streamer.model import Clock

_AGREES = timedelta(seconds=1.5)


class SystemClock:
    """This machine's time."""

    def now(self) -> datetime:
        """Return the time, aware."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()


class ServerClock:
    """A server's time: the `Date` header of its last answer plus what our monotonic clock has counted since.

    Whether an event occurred before or after our start is asked of the clock that stamped it; ours may be wrong.
    """

    def __init__(self, local: Clock) -> None:
        self._local = local
        self._start: datetime | None = None  # the server's time when our monotonic clock stood at 0

    def observe(self, date_header: str | None) -> None:
        """Take note of an answer's `Date`; nonsense is passed over."""
        try:
            date = parsedate_to_datetime(date_header or "")
        except (ValueError, OverflowError):
            return
        if date.tzinfo is None:
            return
        start = date - timedelta(seconds=self._local.monotonic())
        # The header is cut to the second: of readings that agree to a second and a half, the latest is the nearest.
        close = self._start is not None and abs(start - self._start) < _AGREES
        self._start = max(start, self._start) if close and self._start else start

    def now(self) -> datetime:
        """Return the server's time; ours as long as it has not answered."""
        if self._start is None:
            return self._local.now()
        return self._start + timedelta(seconds=self._local.monotonic())

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return self._local.monotonic()
