"""Lines of logs."""

from collections.abc import Iterable
from datetime import datetime
from logging import getLevelName
from typing import NamedTuple

from streamer.run_view import LogLine


class FlowRunLog(NamedTuple):
    """A line of the log of a run; `level` is a number, as in Python's logging."""

    timestamp: datetime
    level: int
    message: str

    def __str__(self) -> str:
        return f"{self.timestamp:%H:%M:%S} {getLevelName(self.level)} {self.message}"


def lines(told: Iterable[LogLine]) -> list[FlowRunLog]:
    """Return the lines that are told."""
    return [FlowRunLog(each.timestamp, each.level, each.message) for each in told]
