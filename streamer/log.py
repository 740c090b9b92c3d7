"""The log: the store, its newest records in memory, and waiting for more.

Memory and head change only after the store has committed. An append that its caller abandons still ends in both.
"""

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import Awaitable, Collection, Mapping, Sequence
from datetime import datetime
from itertools import islice

from schemas import Event, InvalidEvent
from streamer.model import Appended, Dues, Frame, Net, Progress, Pruned, Record, Retention, SourceState, Store, Totals

NEWEST_KEPT = 2048
NEWEST_KEPT_BYTES = 32 * 1024 * 1024
"""How much deliveries can have without a read from the store."""


class Log:
    """The one sequence that everything downstream reads."""

    def __init__(self, store: Store, head: int) -> None:
        self.store = store
        self.head = head
        self.size = 0
        self._floor = head  # the newest records hold everything beyond this seq
        self._newest: deque[Record] = deque()
        self._newest_bytes = 0
        self._moved = asyncio.Event()
        self._epochs: dict[str, datetime] = {}

    @classmethod
    async def open(cls, store: Store) -> "Log":
        """Return the log that is kept in this store."""
        log = cls(store, await store.head())
        await log.look_again()
        return log

    async def look_again(self) -> None:
        """Ask the store how many records it has, and from when on those of each source count."""
        self.size = await self.store.size()
        self._epochs.update({each.name: each.epoch for each in await self.store.sources()})

    async def open_source(self, name: str, *, identity: str, now: datetime) -> SourceState:
        """Return the source's state in the store, made now if it is new."""
        state = await self.store.open_source(name, identity=identity, now=now)
        self._epochs[name] = state.epoch
        return state

    @property
    def epochs(self) -> Mapping[str, datetime]:
        """Return the epoch of each source: what occurred before is history."""
        return self._epochs

    def is_history(self, record: Record) -> bool:
        """Tell whether a record occurred before its source's epoch."""
        epoch = self._epochs.get(record.source)
        return epoch is not None and record.event.occurred < epoch

    async def append(
        self,
        source: str,
        events: Sequence[Event],
        *,
        net: Net,
        passed_over: Sequence[Event] = (),
        watermark: datetime | None = None,
        progress: Progress | None = None,
    ) -> Appended:
        """Keep the new ones of these events, and wake the readers."""
        work = self.store.append(
            source, events, net=net, passed_over=passed_over, watermark=watermark, progress=progress
        )
        commit = asyncio.ensure_future(self._committed(work))
        commit.add_done_callback(_is_heard)
        return await asyncio.shield(commit)

    async def _committed(self, work: Awaitable[Appended]) -> Appended:
        appended = await work
        self._take_up(appended.records)
        return appended

    async def follow(self, limit: int) -> Sequence[Record]:
        """Take up what another process has appended beyond our head, at most so many records, and return them."""
        records = await self.store.after(self.head, limit)
        self._take_up(records)
        return records

    def _take_up(self, records: Sequence[Record]) -> None:
        if records:
            self._remember(records)
            self.head = records[-1].seq
            self.size += len(records)
            self._moved.set()
            self._moved = asyncio.Event()

    async def learn(self, dues: Dues) -> Appended:
        """Note when runs should have started; return what could be measured by it."""
        return await self.store.learn(dues)

    async def quarantine(self, frame: Frame, error: InvalidEvent) -> Totals:
        """Keep a frame that is no valid event."""
        return await self.store.quarantine(frame, error)

    async def prune(self, keep: Retention, *, now: datetime, readers: Collection[str], ids: bool) -> Pruned:
        """Take one step of forgetting; all is done when it dropped nothing."""
        pruned = await self.store.prune(keep, now=now, readers=readers, ids=ids)
        self.size -= pruned.records
        return pruned

    async def after(self, seq: int, limit: int) -> Sequence[Record]:
        """Return at most `limit` records beyond `seq`: from memory, or from the store for a reader far behind."""
        if seq < self._floor:
            return await self.store.after(seq, limit)
        start = bisect_right(self._newest, seq, key=lambda record: record.seq)
        return list(islice(self._newest, start, start + limit))

    async def wait(self, beyond: int) -> None:
        """Return when there are records beyond this seq."""
        while self.head <= beyond:
            await self._moved.wait()

    def _remember(self, records: Sequence[Record]) -> None:
        self._newest.extend(records)
        self._newest_bytes += sum(len(record.event.raw) for record in records)
        while len(self._newest) > NEWEST_KEPT or self._newest_bytes > NEWEST_KEPT_BYTES:
            oldest = self._newest.popleft()
            self._floor = oldest.seq
            self._newest_bytes -= len(oldest.event.raw)


def _is_heard(commit: asyncio.Future[Appended]) -> None:
    """Take note of a failure: who waited for it may have been cancelled, and asyncio would complain on its own."""
    if not commit.cancelled():
        commit.exception()
