"""The sweep: what the websocket did not bring, found by counting and read from REST.

Windows of time are counted on the server and in our ledger, and read where they differ (`audit.py` says which and
when). The watermark moves over windows that have passed their first comparison. After each connect, and after a burst
that the server's queue for us cannot have held, the newest stretch is read whole: equal counts are not equal sets.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import orjson
import structlog

from streamer import audit
from streamer.audit import Finding, Track, Window, judge
from streamer.health import AFTER_BURST, SourceHealth
from streamer.model import Frame, Mark, Net, Put, SourceState, Store
from streamer.source.api import Api
from streamer.source.reading import EventJson, Reader, id_of
from streamer.source.settling import settle
from streamer.timestamps import from_micros, to_micros

logger = structlog.get_logger(__name__)

POLL_SECONDS = 10.0
"""How often the newest events are read while there is no websocket."""


@dataclass(frozen=True, slots=True)
class Reread:
    """All that occurred since a time is to be read, at a moment of the monotonic clock."""

    at: float
    since: datetime


class Sweep:
    """The REST net of one source."""

    def __init__(
        self,
        api: Api,
        store: Store,
        health: SourceHealth,
        state: SourceState,
        *,
        history: timedelta,
        ages: Iterable[tuple[int, int]] = audit.AGES,
    ) -> None:
        floor = to_micros(state.epoch - history)
        watermark = to_micros(state.watermark) if state.watermark else floor
        self._tracks = audit.tracks(watermark=watermark, floor=floor, ages=ages)
        self._api = api
        self._reader = Reader(api)
        self._store = store
        self._health = health
        self._rereads: list[Reread] = []
        self._alone = False

    async def run(self, put: Put) -> None:
        """Put what the websocket did not bring, and marks as the watermark moves."""
        first = self._tracks[0]
        await self._compare_what_is_due(first, put)
        self._doubt((0.0,))
        while True:
            await self._reread_what_is_due(put)
            for track in self._tracks:
                await self._compare_what_is_due(track, put)
            await self._next_occasion()

    async def _compare_what_is_due(self, track: Track, put: Put) -> None:
        while due := track.due(self._now()):
            waiting = [due]
            while waiting:
                window = waiting.pop()
                if await self._compare(window, put) is Finding.SPLIT:
                    waiting += reversed(window.halves())
                else:
                    track.position = window.end
                    await self._mark(track, put)

    async def _compare(self, window: Window, put: Put) -> Finding:
        theirs = await self._reader.count(window)
        if theirs is None:
            return Finding.SPLIT
        await settle(self._health.name, put)  # whatever was received before the answer counts as ours
        ours = await self._store.count(self._health.name, window.start, window.last)
        finding = judge(window, theirs=theirs, ours=ours)
        result = "equal" if finding is Finding.EQUAL else "differs"
        self._health.instruments.audits.labels(self._health.name, result).inc()
        if finding is Finding.READ:
            await self._read_window(window, put)
        return finding

    async def _read_window(self, window: Window, put: Put) -> None:
        shown: set[UUID | None] = set()
        async for events in self._reader.pages(from_micros(window.start), from_micros(window.last)):
            await self._put_all(events, put)
            shown.update(map(id_of, events))
        await settle(self._health.name, put)
        held = await self._store.ids(self._health.name, window.start, window.last) - shown
        if held:
            await self._store.absent(held - await self._reader.known(held))

    async def _reread_what_is_due(self, put: Put) -> None:
        now = self._api.clock.monotonic()
        due = [each for each in self._rereads if each.at <= now]
        if not due:
            return
        self._rereads = [each for each in self._rereads if each.at > now]
        opens = self._health.opens
        async for events in self._reader.pages(min(each.since for each in due)):
            await self._put_all(events, put)
        await put(Mark(self._health.name, complete=opens == self._health.opens))

    async def _put_all(self, events: Sequence[EventJson], put: Put) -> None:
        for event in events:
            await put(Frame(self._health.name, Net.SWEEP, orjson.dumps(event)))

    async def _mark(self, track: Track, put: Put) -> None:
        if track is self._tracks[0]:
            await put(Mark(self._health.name, from_micros(track.position)))

    async def _next_occasion(self) -> None:
        """Wait for the next window, reread or poll to fall due, or for a doubt."""
        now = self._api.clock.monotonic()
        soonest = min(track.next_due() for track in self._tracks)
        waits = [max(0.0, (soonest - self._now()) / audit.SECOND), *(each.at - now for each in self._rereads)]
        if not self._health.connected:
            waits.append(POLL_SECONDS)
        try:
            async with asyncio.timeout(min(waits)):
                self._doubt(await self._health.doubts.get())
                self._alone = False
        except TimeoutError:
            if not self._health.connected and not self._rereads:
                self._say_that_we_are_alone()
                self._doubt((0.0,))

    def _doubt(self, after: Iterable[float]) -> None:
        """Plan to read all from where the first comparison stands, after so many seconds each."""
        if after is AFTER_BURST and self._rereads:
            return  # under a steady load every second is a burst
        now, since = self._api.clock.monotonic(), from_micros(min(self._tracks[0].position, self._now() - audit.MINUTE))
        self._rereads += [Reread(now + seconds, since) for seconds in after]

    def _say_that_we_are_alone(self) -> None:
        if not self._alone:
            logger.warning("no websocket: going on with REST alone", source=self._health.name, every=POLL_SECONDS)
        self._alone = True

    def _now(self) -> int:
        return to_micros(self._api.clock.now())
