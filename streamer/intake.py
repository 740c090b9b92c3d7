"""The queue between the nets and the pipeline, bounded by bytes; a put waits, a take only as long as it was told to."""

import asyncio
from collections import deque
from contextlib import suppress
from datetime import timedelta

from streamer.model import Frame, Item

LIMIT_BYTES = 64 * 1024 * 1024
OTHER_BYTES = 64


class Intake:
    """Frames and marks on their way in, in order; they may wait for others, so that fewer transactions are needed."""

    def __init__(self, limit_bytes: int = LIMIT_BYTES, *, linger: timedelta = timedelta(0)) -> None:
        self._limit = limit_bytes
        self._linger = linger
        self._waiting: deque[Item] = deque()
        self._bytes = 0
        self._filled = asyncio.Event()
        self._drained = asyncio.Event()
        self._closed = False

    async def put(self, item: Item) -> None:
        """Add an item; wait while more bytes are waiting than the limit allows."""
        while self._bytes > self._limit:
            self._drained.clear()
            await self._drained.wait()
        self._waiting.append(item)
        self._bytes += _size(item)
        self._filled.set()

    async def take(self, most: int) -> list[Item]:
        """Return what has arrived, at most so many; an empty list once closed and drained."""
        while not self._waiting and not self._closed:
            await self._more()
        if self._linger:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._linger.total_seconds()):
                    while len(self._waiting) < most and not self._closed:
                        await self._more()
        taken = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
        self._bytes -= sum(map(_size, taken))
        self._drained.set()
        return taken

    async def _more(self) -> None:
        self._filled.clear()
        await self._filled.wait()

    def close(self) -> None:
        """Let `take` end when all has been taken."""
        self._closed = True
        self._filled.set()


def _size(item: Item) -> int:
    return len(item.data) if isinstance(item, Frame) else OTHER_BYTES
