"""The states net: what happened to runs according to the server's tables, where no event told.

When the sweep has caught up, and then every few minutes, the runs that have not ended or ended lately are compared
with ours. A state that no net has brought is announced by an event of our making, under the state's own id. A run that
is gone was deleted, which Prefect announces to nobody.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import orjson
import structlog

from schemas import StateType
from schemas.ours import deleted_notice
from streamer import synthesis
from streamer.errors import SourceError
from streamer.health import SourceHealth
from streamer.model import Frame, Net, Put, SourceState, Store
from streamer.source.api import Api
from streamer.source.runs_api import Json, RunsApi
from streamer.source.settling import settle

EVERY = timedelta(minutes=5)
SETTLED = timedelta(seconds=60)
"""A state younger than this may still be announced by its own event."""

START_OVERLAP = timedelta(hours=1)
"""How long before the watermark a start looks for runs that ended: nobody knows when the process before us compared."""

OVERLAP = timedelta(minutes=1)
"""How far two comparisons overlap: the server's clock is known to the second, and may be set."""

RETRY_SECONDS = 10.0
REPAIRED_AT_ONCE = 500
MANY = 10
"""If more than half of at least so many runs vanish at once, the server's database was reset: act on nothing."""

_NAMESPACE = UUID("5f0c1c4e-6a0a-4d5b-9d0e-5d1f6a3b7c21")

logger = structlog.get_logger(__name__)


class States:
    """The net that reads runs and states of one source."""

    def __init__(
        self,
        api: Api,
        store: Store,
        health: SourceHealth,
        state: SourceState,
        *,
        every: timedelta = EVERY,
        settled: timedelta = SETTLED,
    ) -> None:
        self._clock = api.clock
        self._runs = RunsApi(api)
        self._store = store
        self._health = health
        self._ended_since = state.watermark - START_OVERLAP if state.watermark else state.epoch
        self._every = every
        self._settled = settled

    async def run(self, put: Put) -> None:
        """Put the events of states that nobody announced, for ever."""
        while True:
            await self._health.present.wait()
            pause = self._every.total_seconds()
            try:
                await self._compare(put)
            except (SourceError, KeyError, TypeError, ValueError) as error:
                logger.warning(
                    "cannot compare runs", source=self._health.name, error=f"{type(error).__name__}: {error}"
                )
                pause = RETRY_SECONDS
            await asyncio.sleep(pause)

    async def _compare(self, put: Put) -> None:
        started = self._clock.now()
        theirs = {UUID(run["id"]): run async for run in self._runs.unfinished()}
        async for run in self._runs.ended_since(self._ended_since - self._settled - OVERLAP):
            theirs[UUID(run["id"])] = run
        ours = await self._store.unfinished(self._health.name)
        gone = ours.keys() - theirs.keys()
        found = {UUID(run["id"]): run async for run in self._runs.with_ids(gone)}
        theirs.update(found)
        holes = await self._store.holes(self._health.name, self._clock.now() - self._settled, REPAIRED_AT_ONCE)
        await self._repair(await self._unannounced(theirs.values()), put)
        await self._repair([run async for run in self._runs.with_ids(set(holes.values()))], put)
        await self._announce_deleted(gone - found.keys(), ours, put)
        await settle(self._health.name, put)
        await self._store.forget_holes(holes.keys())
        self._ended_since = started

    async def _unannounced(self, runs: Iterable[Json]) -> list[Json]:
        """Return the runs whose present state no net has brought, though it is old enough."""
        settled = [run for run in runs if run.get("state") and self._is_settled(run["state"])]
        known = await self._store.known({UUID(run["state"]["id"]) for run in settled})
        return [run for run in settled if UUID(run["state"]["id"]) not in known]

    async def _repair(self, runs: list[Json], put: Put) -> None:
        for run in runs:
            try:
                async for event in self._missing(run):
                    await put(Frame(self._health.name, Net.STATES, orjson.dumps(event)))
            except (KeyError, TypeError, ValueError) as error:
                logger.warning(
                    "cannot read a run's states", run=run.get("id"), error=f"{type(error).__name__}: {error}"
                )

    async def _missing(self, run: Json) -> AsyncIterator[dict[str, Any]]:
        states = [run["state"]] if _is_newly_scheduled(run) else await self._runs.states(run["id"])
        known = await self._store.known({UUID(state["id"]) for state in states})
        for event in synthesis.events(run, states, await self._runs.names(run)):
            if UUID(event["id"]) not in known and self._is_settled({"timestamp": event["occurred"]}):
                yield event

    async def _announce_deleted(self, runs: set[UUID], ours: Mapping[UUID, StateType], put: Put) -> None:
        begun = {run for run, state in ours.items() if state is not StateType.SCHEDULED}  # schedules go all the time
        most = len(begun) >= MANY and len(begun & runs) > len(begun) / 2
        if most or (len(ours) >= MANY and runs == ours.keys()):
            logger.error("most runs are gone from the server: was its database reset?", gone=len(runs), of=len(ours))
            return
        for run in runs:
            ident = uuid5(_NAMESPACE, f"{self._health.name} {run} deleted")
            notice = deleted_notice(ident, run, occurred=self._clock.now())
            await put(Frame(self._health.name, Net.STATES, notice.raw))

    def _is_settled(self, state: Json) -> bool:
        return datetime.fromisoformat(state["timestamp"]) < self._clock.now() - self._settled


def _is_newly_scheduled(run: Json) -> bool:
    """Tell whether the state in the run is its only one; the scheduler makes many such, and announces none."""
    return bool(run["run_count"] == 0 and run["state"]["name"] == "Scheduled")
