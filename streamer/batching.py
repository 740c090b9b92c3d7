"""What a reader is given at once: what has arrived, up to a number of records or bytes."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from streamer.log import Log
from streamer.model import Record


@dataclass(frozen=True, slots=True)
class Batching:
    """The most `records` and `size` in bytes of a batch, one record at least, and how long it may wait to be full."""

    records: int = 500
    size: int = 4_000_000
    linger: timedelta = timedelta(0)

    async def next(self, log: Log, beyond: int) -> Sequence[Record]:
        """Return what follows this seq, which is there already; nothing if all of it was pruned."""
        batch, is_full = await self._there(log, beyond)
        if self.linger and batch and not is_full:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.linger.total_seconds()):
                    while not is_full:
                        await log.wait(batch[-1].seq)
                        batch, is_full = await self._there(log, beyond)
        return batch

    async def _there(self, log: Log, beyond: int) -> tuple[Sequence[Record], bool]:
        records = await log.after(beyond, self.records)
        size = 0
        for number, record in enumerate(records):
            size += len(record.event.raw)
            if size > self.size:
                return records[: max(1, number)], True
        return records, len(records) == self.records
