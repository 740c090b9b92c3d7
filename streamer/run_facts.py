"""What store and server know of the run of a record, for whoever tells a person of it: quickly, or not at all."""

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from streamer.alert_message import last_lines
from streamer.clock import ServerClock, SystemClock
from streamer.config import Settings
from streamer.connecting import connection_of
from streamer.errors import ConfigError, SourceError, StoreError
from streamer.instruments import Instruments
from streamer.model import Record, RunState, Store
from streamer.redaction import Droppable
from streamer.source.api import Api
from streamer.source.logs import last_messages
from streamer.surroundings import NO_DETAILS, RunDetails

SECONDS = 1.5
REST_SECONDS = 30.0
"""How long a server that did not answer in time is not asked again: an alert should not wait for it."""

PER_MINUTE = 60
MOST_MESSAGES = 200


class RunFacts:
    """Ask store and server. Both may be gone: then there is nothing to tell, and the message goes out without it."""

    def __init__(self, settings: Settings, store: Store, instruments: Instruments) -> None:
        self._settings = {each.source: each for each in settings.each_source}
        self._redaction = settings.redact
        self._store = store
        self._instruments = instruments
        self._apis: dict[str, Api] = {}
        self._not_before: dict[str, float] = {}

    async def of(self, record: Record, most_lines: int) -> RunDetails:
        """Return how long the run has been at work, and so many of the last lines of its log, as far as known."""
        run = record.event.run_id
        if run is None:
            return NO_DETAILS
        worked, lines = await asyncio.gather(self._worked(record, run), self._lines(record, run, most_lines))
        return RunDetails(worked, tuple(lines))

    async def close(self) -> None:
        """Close the connections."""
        for api in self._apis.values():
            await api.close()

    async def _worked(self, record: Record, run: UUID) -> timedelta | None:
        try:
            async with asyncio.timeout(SECONDS):
                known = (await self._store.runs([run])).get(run)
        except (StoreError, TimeoutError):
            return None
        return _worked(known, record) if known else None

    async def _lines(self, record: Record, run: UUID, most: int) -> Sequence[str]:
        source = record.source if record.source in self._settings else next(iter(self._settings))
        is_unwanted = not most or Droppable.MESSAGE in self._redaction.drop
        if is_unwanted or time.monotonic() < self._not_before.get(source, 0):
            return ()
        try:
            async with asyncio.timeout(SECONDS):
                messages = await last_messages(self._connected(source), run, min(most, MOST_MESSAGES))
        except (ConfigError, SourceError, TimeoutError, KeyError, TypeError, ValueError):
            self._not_before[source] = time.monotonic() + REST_SECONDS
            return ()
        return last_lines((self._redaction.masked(each) for each in messages), most)

    def _connected(self, source: str) -> Api:
        if source not in self._apis:
            connection, clock = connection_of(self._settings[source]), ServerClock(SystemClock())
            self._apis[source] = Api(connection, clock, self._instruments, per_minute=PER_MINUTE)
        return self._apis[source]


def _worked(run: RunState, record: Record) -> timedelta | None:
    until = run.ended_at or record.event.occurred
    return until - run.started_at if run.started_at and until >= run.started_at else None
