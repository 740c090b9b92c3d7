"""When runs should have started, which no event tells: asked of the server for the runs of which we do not know it."""

import asyncio
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from streamer.errors import SourceError
from streamer.health import SourceHealth
from streamer.model import Dues, Put, Store
from streamer.source.api import Api
from streamer.source.runs_api import PAGE_SIZE, RunsApi
from streamer.source.settling import settle

EVERY = timedelta(seconds=10)
AT_ONCE = PAGE_SIZE
"""Few enough that events do not wait long for the store meanwhile."""

logger = structlog.get_logger(__name__)


class DueTimes:
    """Learn the due times of one source's runs; of none twice, and nothing is asked while all are known."""

    def __init__(self, api: Api, store: Store, health: SourceHealth, *, every: timedelta = EVERY) -> None:
        self._runs = RunsApi(api)
        self._store = store
        self._health = health
        self._every = every

    async def run(self, put: Put) -> None:
        """Put what the server tells, for ever."""
        while True:
            await self._health.present.wait()
            try:
                while await self._learn(put):
                    pass
            except (SourceError, KeyError, TypeError, ValueError) as error:
                what = f"{type(error).__name__}: {error}"
                logger.warning("cannot learn when runs were due", source=self._health.name, error=what)
            await asyncio.sleep(self._every.total_seconds())

    async def _learn(self, put: Put) -> bool:
        """Ask for some; tell whether there are more."""
        unknown = await self._store.without_due(self._health.name, AT_ONCE)
        due: dict[UUID, datetime | None] = dict.fromkeys(unknown)
        async for run in self._runs.with_ids(unknown):
            due[UUID(run["id"])] = _due(run["expected_start_time"])
        if due:
            await put(Dues(self._health.name, due))
            await settle(self._health.name, put)
        return len(unknown) == AT_ONCE


def _due(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
