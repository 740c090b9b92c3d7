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
from schemas.messages import FAR_FUTURE, flow_run_filter

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


@dataclass(frozen=True, slots=True)
class Position:
    """Where a sweep stands: `since` is inclusive; `instant` means that more than a page happened at once."""

    since: datetime
    instant: bool = False

    def body(self, now: datetime) -> dict[str, Any]:
        """Return the request for the next page, oldest first, heartbeats left out."""
        until = self.since if self.instant else now + FAR_FUTURE
        occurred = {"since": self.since.isoformat(), "until": until.isoformat()}
        wanted = flow_run_filter(occurred, exclude_name=[HEARTBEAT_NAME])
        return {"filter": {**wanted, "order": "ASC"}, "limit": PAGE_SIZE}

    def advanced(self, occurred: Sequence[datetime], *, full: bool) -> "Position | None":
        """Return where to read on after a page with these times; None when it was not full, and so the last.

        Pages shift when rows are inserted, so `since` moves to the newest seen and ids take care of the overlap. Only
        where a whole page shares one instant must the server's page token lead through it (prefect.md 40).
        """
        if self.instant:
            return Position(self.since + MICROSECOND)
        if not full or not occurred:
            return None
        newest = max(occurred)
        return replace(self, since=max(newest, self.since), instant=newest <= self.since)


def settled(position: datetime, *, started: datetime, settle: timedelta) -> datetime:
    """Return how far the watermark may move: not into the time in which the server may still write late."""
    return min(position, started - settle)
