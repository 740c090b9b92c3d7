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
from streamer.run_details import ArtifactView, DeploymentDetails, RunDetails
from streamer.run_view import LogLine, TaskRunView
from streamer.source import run_pages
from streamer.source.api import Api

SECONDS = 10.0
AT_ONCE = 8
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
        self._per_minute = PER_MINUTE_CLOUD if settings.is_cloud else PER_MINUTE
        self._places = asyncio.Semaphore(AT_ONCE)

    async def logs(self, run: UUID, *, offset: int, limit: int, newest_first: bool = False) -> Sequence[LogLine]:
        """Return some lines of the log of a run and its tasks, by time."""
        async with self._asking() as api:
            return await run_pages.log_lines(api, run, offset=offset, limit=limit, newest_first=newest_first)

    async def task_runs(self, run: UUID, *, offset: int, limit: int) -> Sequence[TaskRunView]:
        """Return some task runs of a run, in the order in which they were expected to start."""
        async with self._asking() as api:
            return await run_pages.task_runs(api, run, offset=offset, limit=limit)

    async def artifacts(self, run: UUID, *, offset: int, limit: int) -> Sequence[ArtifactView]:
        """Return some artifacts of a run and its tasks, by id."""
        async with self._asking() as api:
            return await run_pages.artifacts(api, run, offset=offset, limit=limit)

    async def details(self, run: UUID) -> RunDetails | None:
        """Return what no event tells of a run; None if the server does not know it."""
        async with self._asking() as api:
            return await run_pages.run_details(api, run)

    async def deployment(self, deployment: UUID) -> DeploymentDetails | None:
        """Return what no event tells of a deployment; None if the server does not know it."""
        async with self._asking() as api:
            return await run_pages.deployment_details(api, deployment)

    async def run_of(self, task_run: UUID) -> UUID | None:
        """Return the run that a task run belongs to; None if the server knows none."""
        async with self._asking() as api:
            return await run_pages.run_of(api, str(task_run))

    async def aclose(self) -> None:
        """Close the connections."""
        if self._api:
            await self._api.close()

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[Api]:
        try:
            async with asyncio.timeout(SECONDS), self._places:
                yield self._connected()
        except TimeoutError as error:
            hint = f"it is asked {self._per_minute} times a minute at the most: are these too many questions at once?"
            raise ConnectionLost(f"{self._settings.api_url} did not answer within {SECONDS:.0f} s", hint) from error
        except ConfigError as error:  # a secret's file, such as one that is being replaced
            raise ConnectionLost(str(error), error.hint) from error

    def _connected(self) -> Api:
        if self._api is None:
            connection = connection_of(self._settings)
            self._api = Api(connection, self._clock, self._instruments, per_minute=self._per_minute)
        return self._api
