"""Reading events from the server's REST with patience: windows counted, pages read, ids looked up."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from schemas.messages import FAR_FUTURE
from streamer.audit import Window
from streamer.backoff import backoff
from streamer.errors import SourceError
from streamer.protocol import PAGE_SIZE, Position, query
from streamer.source.api import Api
from streamer.timestamps import from_micros

T = TypeVar("T")

EventJson = dict[str, Any]

_A_SECOND = timedelta(seconds=1)
"""The server's clock is known to the second."""

_PATIENCE = backoff(first=1, longest=60)

logger = structlog.get_logger(__name__)


class Reader:
    """A server's events, oldest first; whatever can be tried again is, for ever."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def count(self, window: Window) -> int:
        """Return how many events but heartbeats the server has in a window."""
        body = query(from_micros(window.start), from_micros(window.last), limit=0)
        return (await _patiently(partial(self._api.events, body))).total

    async def pages(self, since: datetime, until: datetime | None = None) -> AsyncGenerator[list[EventJson], None]:
        """Yield what occurred between two times, both included, by pages.

        Without `until` what senders' clocks put into the future is yielded too; but it ends where the present was
        when it began, for else it might never end under load.
        """
        started = self._api.clock.now()
        position: Position | None = Position(since, until or started + FAR_FUTURE)
        while position:
            events = await _patiently(partial(self._at, position))
            yield events
            times = _times(events)
            over = until is None and bool(times) and max(times) > started + _A_SECOND
            position = None if over else position.advanced(times, full=len(events) >= PAGE_SIZE)

    async def known(self, ids: Collection[UUID]) -> set[UUID]:
        """Return which of these events the server has."""
        asked, found = sorted(map(str, ids)), []
        for start in range(0, len(asked), PAGE_SIZE):
            body = query(from_micros(0), self._api.clock.now() + FAR_FUTURE, limit=PAGE_SIZE)
            body["filter"]["id"] = {"id": asked[start : start + PAGE_SIZE]}
            found += (await _patiently(partial(self._api.events, body))).events
        return {known for known in map(id_of, found) if known}

    async def _at(self, position: Position) -> list[EventJson]:
        """Return a page; of an instant all pages, to which the server's tokens lead, until one brings nothing new."""
        page = await self._api.events(position.body())
        events = list(page.events)
        seen = {str(event.get("id")) for event in events}
        while position.instant and page.token:
            page = await self._api.events_page(page.token)
            new = [event for event in page.events if str(event.get("id")) not in seen]
            if not new:
                break
            events += new
            seen |= {str(event.get("id")) for event in new}
        return events


def id_of(event: EventJson) -> UUID | None:
    """Return an event's id; None for what has none, which is for the pipeline to refuse."""
    with suppress(ValueError):
        return UUID(str(event.get("id")))
    return None


async def _patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask until there is an answer: what the server accepted at the start, it may accept again."""
    async for attempt in AsyncRetrying(retry=retry_if_exception_type(SourceError), wait=_PATIENCE, before_sleep=_say):
        with attempt:
            return await ask()
    raise AssertionError("retries have no end")


def _say(state: RetryCallState) -> None:
    if state.attempt_number == 1 and state.outcome:
        logger.warning("cannot read from the server, trying on", error=str(state.outcome.exception()))


def _times(events: Iterable[EventJson]) -> list[datetime]:
    """Return when events occurred; what tells no time is for the pipeline to refuse."""
    times = []
    for event in events:
        with suppress(ValueError):
            times.append(datetime.fromisoformat(str(event.get("occurred"))))
    return [time for time in times if time.tzinfo]
