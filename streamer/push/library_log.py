"""What a library logs instead of raising it: kept as the reason of a failure, and out of the service's own log."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


class Overheard(logging.Handler):
    """Remember the last message."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.last = record.getMessage()


@contextmanager
def overheard(name: str) -> Iterator[Overheard]:
    """Keep to ourselves what this logger says meanwhile."""
    logger, handler = logging.getLogger(name), Overheard()
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield handler
    finally:
        logger.propagate = True
        logger.removeHandler(handler)
