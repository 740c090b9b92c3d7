"""A clock that a test turns."""

from datetime import UTC, datetime

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Clock:
    """It shows `time`, and stands until that is set; its monotonic time never moves."""

    def __init__(self, time: datetime = NOON) -> None:
        self.time = time

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return 0.0
