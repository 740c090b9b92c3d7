"""Pure: what may be retried, how long to wait, and where a sweep reads next.

No I/O and no clock here: bytes, codes and times come in, decisions go out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from math import isnan
from typing import Any

from schemas.flow_run import HEARTBEAT_NAME
from schemas.messages import flow_run_filter

PAGE_SIZE = 50
"""The most a Prefect server gives a request of `/events/filter`; asking for more is refused (prefect.md 39)."""

MICROSECOND = timedelta(microseconds=1)


class Outcome(StrEnum):
    """How an attempt to connect ended; the `result` label of `prefect_streamer_source_connections_total`."""

    OK = "ok"
    AUTH = "auth"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    PROTOCOL = "protocol"


def is_fatal_status(status: int) -> bool:
    """Tell whether an HTTP status says that the credentials are wrong (prefect.md 3); all others are tried again."""
    return status in (401, 403)


def is_fatal_close(code: int | None) -> bool:
    """Tell whether a close code says that the credentials are wrong (3); even a clean close is tried again (17)."""
    return code == 1008


def is_retryable_status(status: int) -> bool:
    """Tell whether a REST answer is worth another try: time-outs, pressure, and whatever is the server's fault."""
    return status in (408, 425, 429) or status >= 500


def retry_after_seconds(value: str | None, *, cap: float = 300.0) -> float | None:
    """Read a `Retry-After` header given in seconds; a date, or nonsense, is as if there were none."""
    try:
        seconds = float(value or "")
    except ValueError:
        return None
    return None if isnan(seconds) else min(max(seconds, 0.0), cap)


@dataclass(slots=True)
class Burst:
    """Notice when so many messages come within a second that the server's queue of 256 may have overflowed."""

    most: int = 256
    _second: int = 0
    _number: int = 0

    def noticed(self, now: float) -> bool:
        """Count a message; tell, once a second at most, whether they are too many."""
        if int(now) != self._second:
            self._second, self._number = int(now), 0
        self._number += 1
        return self._number == self.most


@dataclass(frozen=True, slots=True)
class Position:
    """Where a sweep stands: both bounds are inclusive; `instant` means that more than a page happened at once."""

    since: datetime
    until: datetime
    instant: bool = False

    def body(self) -> dict[str, Any]:
        """Return the request for the next page, oldest first, heartbeats left out."""
        return query(self.since, self.since if self.instant else self.until, limit=PAGE_SIZE)

    def advanced(self, occurred: Sequence[datetime], *, full: bool) -> "Position | None":
        """Return where to read on after a page with these times; None when it was not full, and so the last.

        Pages shift when rows are inserted, so `since` moves to the newest seen and ids take care of the overlap. Only
        where a whole page shares one instant must the server's page token lead through it (prefect.md 40).
        """
        if self.instant:
            after = self.since + MICROSECOND
            return Position(after, self.until) if after <= self.until else None
        if not full or not occurred:
            return None
        newest = max(occurred)
        return replace(self, since=max(newest, self.since), instant=newest <= self.since)


def query(since: datetime, until: datetime, *, limit: int) -> dict[str, Any]:
    """Return the request for what occurred between two times, both included; with a limit of 0 only for its total."""
    occurred = {"since": since.isoformat(), "until": until.isoformat()}
    return {"filter": {**flow_run_filter(occurred, exclude_name=[HEARTBEAT_NAME]), "order": "ASC"}, "limit": limit}
