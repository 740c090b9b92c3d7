"""The Prefect server, asked for what it alone knows of a run, on behalf of whoever asks the service."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

from streamer.clock import ServerClock
from streamer.config import Settings
from streamer.connecting import connection_of
from streamer.errors import ConfigError, ConnectionLost
from streamer.instruments import Instruments
from streamer.run_view import LogLine, TaskRunView
from streamer.source import run_pages
from streamer.source.api import Api

SECONDS = 10.0
PER_MINUTE = 600
PER_MINUTE_CLOUD = 60
"""Beside what the service itself asks of the account; who asks for more has to wait."""


class RunServer:
    """Connect when asked first. What cannot be had is a `SourceError`, `SECONDS` later at the most."""

    def __init__(self, settings: Settings, clock: ServerClock, instruments: Instruments) -> None:
        self._settings = settings
        self._clock = clock
        self._instruments = instruments
        self._api: Api | None = None

    async def logs(self, run: UUID, *, offset: int, limit: int) -> Sequence[LogLine]:
        """Return some lines of the log of a run and its tasks, oldest first."""
        async with self._asking() as api:
            return await run_pages.log_lines(api, run, offset=offset, limit=limit)

    async def task_runs(self, run: UUID, *, offset: int, limit: int) -> Sequence[TaskRunView]:
        """Return some task runs of a run, in the order in which they were expected to start."""
        async with self._asking() as api:
            return await run_pages.task_runs(api, run, offset=offset, limit=limit)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._api:
            await self._api.close()

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[Api]:
        try:
            async with asyncio.timeout(SECONDS):
                yield self._connected()
        except TimeoutError as error:
            raise ConnectionLost(f"{self._settings.api_url} did not answer within {SECONDS:.0f} s") from error
        except ConfigError as error:  # a secret's file, such as one that is being replaced
            raise ConnectionLost(str(error), error.hint) from error

    def _connected(self) -> Api:
        if self._api is None:
            per_minute = PER_MINUTE_CLOUD if self._settings.is_cloud else PER_MINUTE
            connection = connection_of(self._settings)
            self._api = Api(connection, self._clock, self._instruments, per_minute=per_minute)
        return self._api
