"""Reading events from the server's REST with patience: windows counted, pages read, ids looked up."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt, stop_never
from tenacity.stop import StopBaseT

from schemas.messages import FAR_FUTURE
from streamer.audit import MINUTE, Window
from streamer.backoff import backoff
from streamer.errors import ConnectionLost, SourceError
from streamer.protocol import PAGE_SIZE, Position, query
from streamer.source.api import Api
from streamer.timestamps import from_micros

T = TypeVar("T")

EventJson = dict[str, Any]

_A_SECOND = timedelta(seconds=1)
"""The server's clock is known to the second."""

COUNT_TRIES = 3
"""A server gives a query 10 s; what it does not count in so many tries is asked in halves (prefect.md 44)."""

PATIENCE = backoff(first=1, longest=60)

logger = structlog.get_logger(__name__)


class Reader:
    """A server's events, oldest first; whatever can be tried again is, for ever."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def count(self, window: Window) -> int | None:
        """Return how many events but heartbeats the server has in a window; None if counting so many is too much."""
        body = query(from_micros(window.start), from_micros(window.last), limit=0)
        try:
            tries = stop_after_attempt(COUNT_TRIES) if window.end - window.start > MINUTE else stop_never
            return (await _patiently(partial(self._api.events, body), tries)).total
        except SourceError:
            return None

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
        _require_some_of(position, _times(events))
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


def _require_some_of(position: Position, times: Sequence[datetime]) -> None:
    """Refuse a page with nothing of what was asked for, as from a cache: with it, a reading would never end."""
    until = position.since if position.instant else position.until
    if times and not any(position.since <= time <= until for time in times):
        raise ConnectionLost(
            f"the server answered with events from {min(times)} on, asked for {position.since} to {until}"
        )


async def _patiently(ask: Callable[[], Awaitable[T]], stop: StopBaseT = stop_never) -> T:
    """Ask until there is an answer: what the server accepted at the start, it may accept again."""
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type(SourceError), wait=PATIENCE, stop=stop, before_sleep=_say, reraise=True
    ):
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
