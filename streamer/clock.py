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
        self._jump: datetime | None = None

    def observe(self, date_header: str | None) -> None:
        """Take note of an answer's `Date`; nonsense is passed over."""
        try:
            date = parsedate_to_datetime(date_header or "")
        except (ValueError, OverflowError):
            return
        if date.tzinfo is None:
            return
        start = date - timedelta(seconds=self._local.monotonic())
        if self._start is None:
            self._start = start
        elif abs(start - self._start) < _AGREES:
            # The header is cut to the second: of readings that agree, the latest is the nearest.
            self._start = max(start, self._start)
        elif self._jump is not None and abs(start - self._jump) < _AGREES:
            self._start = start
        else:
            self._jump = start  # one answer's word is not enough to move the clock
            return
        self._jump = None

    def now(self) -> datetime:
        """Return the server's time; ours as long as it has not answered."""
        if self._start is None:
            return self._local.now()
        return self._start + timedelta(seconds=self._local.monotonic())

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return self._local.monotonic()
