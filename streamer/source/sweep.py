"""The sweep: read from the server's REST what the websocket did not bring.

A pass reads from the watermark to the present, oldest first. It is made on start, at each connect, again 10 and 60
seconds later (the server writes events up to 5 s late, so that a pass right after a connect misses some), and then
once a minute. Ids take care of what was there already.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing, suppress
from datetime import datetime, timedelta
from typing import Any

import orjson
from tenacity import AsyncRetrying, retry_if_exception_type

from streamer.backoff import backoff
from streamer.errors import ConnectionLost
from streamer.health import SourceHealth
from streamer.model import Frame, Mark, Net, SourceState
from streamer.protocol import PAGE_SIZE, Position, settled
from streamer.source.api import Api, Page

AFTER_CONNECT = (10.0, 60.0)
EVERY_SECONDS = 60.0
SETTLE = timedelta(seconds=20)
"""The server may still write what occurred this short a time ago; the watermark stays behind it."""

START_OVERLAP = timedelta(hours=1)
"""A start reads again from this long before the watermark: clients send late."""

PAGES_TO_A_MARK = 20

_PATIENCE = backoff(first=1, longest=60)


class Sweep:
    """The REST net of one source."""

    def __init__(self, api: Api, health: SourceHealth, state: SourceState, *, history: timedelta) -> None:
        self._api = api
        self._health = health
        self._watermark = state.watermark or state.epoch - history
        self._since = self._watermark - START_OVERLAP if state.watermark else self._watermark
        self._due: list[float] = []

    async def frames(self) -> AsyncIterator[Frame | Mark]:
        """Yield the events of each pass, and marks as the watermark moves."""
        while True:
            async with aclosing(self._pass()) as items:
                async for item in items:
                    yield item
            self._since = self._watermark
            await self._next_occasion()

    async def _pass(self) -> AsyncGenerator[Frame | Mark, None]:
        started, number = self._api.clock.now(), 0
        position: Position | None = Position(self._since)
        while position:
            page = await self._retrying_page(position)
            events = page.events
            for event in events:
                yield Frame(self._health.name, Net.SWEEP, orjson.dumps(event))
            if position.instant:
                async for data in self._rest_of_instant(page):
                    yield Frame(self._health.name, Net.SWEEP, data)
            number += 1
            if number % PAGES_TO_A_MARK == 0:
                yield self._mark(settled(position.since, started=started, settle=SETTLE))
            position = position.advanced(_times(events), full=len(events) >= PAGE_SIZE)
        yield self._mark(started - SETTLE, complete=True)

    def _mark(self, watermark: datetime, *, complete: bool = False) -> Mark:
        self._watermark = max(self._watermark, watermark)
        return Mark(self._health.name, self._watermark, complete=complete)

    async def _rest_of_instant(self, page: Page) -> AsyncIterator[bytes]:
        while page.events and page.token:
            page = await self._api.events_page(page.token)
            for event in page.events:
                yield orjson.dumps(event)

    async def _retrying_page(self, position: Position) -> Page:
        async for attempt in AsyncRetrying(retry=retry_if_exception_type(ConnectionLost), wait=_PATIENCE):
            with attempt:
                return await self._api.events(position.body(self._api.clock.now()))
        raise AssertionError("retries have no end")

    async def _next_occasion(self) -> None:
        now = self._api.clock.monotonic()
        self._due = [due for due in self._due if due > now]
        until = min([*self._due, now + EVERY_SECONDS])
        try:
            async with asyncio.timeout(until - now):
                await self._health.opened.wait()
        except TimeoutError:
            return
        self._health.opened.clear()
        connected = self._api.clock.monotonic()
        self._due = [connected + after for after in AFTER_CONNECT]


def _times(events: Iterable[dict[str, Any]]) -> list[datetime]:
    """Return when the events of a page occurred; what tells no time is for the pipeline to refuse."""
    times = []
    for event in events:
        with suppress(ValueError):
            times.append(datetime.fromisoformat(str(event.get("occurred"))))
    return [time for time in times if time.tzinfo]
