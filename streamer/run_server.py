"""The Prefect servers, asked for what they alone know of a run, on behalf of whoever asks the service."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar
from uuid import UUID

from streamer.clock import ServerClock, SystemClock
from streamer.config import Settings
from streamer.connecting import connection_of
from streamer.errors import ConfigError, ConnectionLost, SourceError
from streamer.instruments import Instruments
from streamer.model import RunState
from streamer.run_details import ArtifactView, DeploymentDetails, RunDetails
from streamer.run_view import LogLine, TaskRunView
from streamer.source import run_pages
from streamer.source.api import Api

SECONDS = 10.0
AT_ONCE = 8
PER_MINUTE = 600
PER_MINUTE_CLOUD = 60
"""Beside what the service itself asks of the account; who asks for more has to wait."""


Find = Callable[[UUID], Awaitable[RunState | None]]
"""Looks a run up in the store."""

T = TypeVar("T")


class RunServer:
    """Ask the server of the run. What cannot be had is a `SourceError`, `SECONDS` later at the most."""

    def __init__(self, settings: Settings, find: Find, instruments: Instruments) -> None:
        self._settings = {each.source: each for each in settings.each_source}
        self._find = find
        self._instruments = instruments
        self._apis: dict[str, Api] = {}
        self._places = asyncio.Semaphore(AT_ONCE)

    async def logs(self, run: UUID, *, offset: int, limit: int, newest_first: bool = False) -> Sequence[LogLine]:
        """Return some lines of the log of a run and its tasks, by time."""
        async with self._asking(await self._source_of(run)) as api:
            return await run_pages.log_lines(api, run, offset=offset, limit=limit, newest_first=newest_first)

    async def task_runs(self, run: UUID, *, offset: int, limit: int) -> Sequence[TaskRunView]:
        """Return some task runs of a run, in the order in which they were expected to start."""
        async with self._asking(await self._source_of(run)) as api:
            return await run_pages.task_runs(api, run, offset=offset, limit=limit)

    async def artifacts(self, run: UUID, *, offset: int, limit: int) -> Sequence[ArtifactView]:
        """Return some artifacts of a run and its tasks, by id."""
        async with self._asking(await self._source_of(run)) as api:
            return await run_pages.artifacts(api, run, offset=offset, limit=limit)

    async def details(self, run: UUID) -> RunDetails | None:
        """Return what no event tells of a run; None if the server does not know it."""
        async with self._asking(await self._source_of(run)) as api:
            return await run_pages.run_details(api, run)

    async def deployment(self, deployment: UUID) -> DeploymentDetails | None:
        """Return what no event tells of a deployment; None if no server knows it."""
        return await self._first(lambda api: run_pages.deployment_details(api, deployment))

    async def run_of(self, task_run: UUID) -> UUID | None:
        """Return the run that a task run belongs to; None if no server knows one."""
        return await self._first(lambda api: run_pages.run_of(api, str(task_run)))

    async def aclose(self) -> None:
        """Close the connections."""
        for api in self._apis.values():
            await api.close()

    async def _source_of(self, run: UUID) -> str:
        """Return whose a run is; if it is none we know, it may be the first one's."""
        known = await self._find(run) if len(self._settings) > 1 else None
        return known.source if known and known.source in self._settings else next(iter(self._settings))

    async def _first(self, ask: Callable[[Api], Awaitable[T | None]]) -> T | None:
        """Ask one server after the other until one knows; that some did not answer is told if none does."""
        problem: SourceError | None = None
        for source in self._settings:
            try:
                async with self._asking(source) as api:
                    if (found := await ask(api)) is not None:
                        return found
            except SourceError as error:
                problem = error
        if problem:
            raise problem
        return None

    @asynccontextmanager
    async def _asking(self, source: str) -> AsyncIterator[Api]:
        settings = self._settings[source]
        most = PER_MINUTE_CLOUD if settings.is_cloud else PER_MINUTE
        try:
            async with asyncio.timeout(SECONDS), self._places:
                if source not in self._apis:
                    connection, clock = connection_of(settings), ServerClock(SystemClock())  # each has its own time
                    self._apis[source] = Api(connection, clock, self._instruments, per_minute=most)
                yield self._apis[source]
        except TimeoutError as error:
            hint = f"it is asked {most} times a minute at the most: are these too many questions at once?"
            raise ConnectionLost(f"{settings.api_url} did not answer within {SECONDS:.0f} s", hint) from error
        except ConfigError as error:  # a secret's file, such as one that is being replaced
            raise ConnectionLost(str(error), error.hint) from error
