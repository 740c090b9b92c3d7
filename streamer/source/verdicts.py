"""The net of verdicts: what the watch suspects, confirmed with the server, and put into the log as an event of ours."""

import asyncio
from datetime import datetime

import orjson
import structlog

from schemas.flow_run import State
from schemas.ours import Ruling, VerdictStatus
from schemas.verdicts import verdict
from streamer.errors import SourceError
from streamer.health import SourceHealth
from streamer.model import Frame, Net, Put, Store
from streamer.source.acting import Acting, Action, act, emit
from streamer.source.api import Api
from streamer.source.confirming import Confirming
from streamer.source.runs_api import Json
from streamer.source.settling import settle
from streamer.suspicion import SECOND, Check, Reason, Suspicion
from streamer.timestamps import from_micros
from streamer.watch import Watch

TICK_SECONDS = 1.0
CHECKED_AT_ONCE = 200
"""A thousand suspects at once do not flood the server: so many are asked of it in a few requests, then the next."""

logger = structlog.get_logger(__name__)


class Verdicts:
    """Rule on the runs of one source, for ever."""

    def __init__(
        self,
        api: Api,
        store: Store,
        health: SourceHealth,
        watch: Watch,
        acting: Acting,
        *,
        tick: float = TICK_SECONDS,
    ) -> None:
        self._api = api
        self._store = store
        self._health = health
        self._watch = watch
        self._acting = acting
        self._tick = tick
        self._confirming = Confirming(api, store, watch, health.name)
        self._meters = health.instruments

    async def run(self, put: Put) -> None:
        """Put verdicts as they become true."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._stay_awake())
            while True:
                await asyncio.sleep(self._tick)
                await self.look(put)

    async def look(self, put: Put) -> None:
        """Put the verdicts that are true now."""
        if due := self._watch.due(CHECKED_AT_ONCE):
            await self._judge(due, put)
        for finding in self._watch.proven():
            await self._rule(finding, None, put)

    async def _stay_awake(self) -> None:
        """Look whether we see, also while a check takes long."""
        while True:
            self._watch.look()
            await asyncio.sleep(self._tick)

    async def _judge(self, due: list[Suspicion], put: Put) -> None:
        try:
            checked = await self._confirming.check(due, put)
        except (SourceError, KeyError, TypeError, ValueError) as error:
            logger.warning("cannot confirm suspicions", suspects=len(due), error=f"{type(error).__name__}: {error}")
            checked = [(each, Check.API_ERROR, None) for each in due]
        for suspicion, check, run in checked:
            self._meters.zombie_checks.labels(check).inc()
            if check is Check.CONFIRMED and run:
                await self._rule(suspicion, run, put)
            else:
                self._watch.tracker.refuted(suspicion.run, self._watch.now())

    async def _rule(self, suspicion: Suspicion, run: Json | None, put: Put) -> None:
        """Put the verdict; of a zombie, do what is wanted when it is in the log."""
        ruling = await self._ruling(suspicion, run)
        logger.info("verdict", run=str(suspicion.run), status=ruling.status, reason=ruling.reason, since=ruling.since)
        raw = await self._put(suspicion, ruling, put)
        if ruling.status is VerdictStatus.ZOMBIE and (self._acting.emit or self._acting.on_zombie is not Action.REPORT):
            await settle(self._health.name, put)
            await self._act(suspicion, ruling, orjson.loads(raw), put)

    async def _put(self, suspicion: Suspicion, ruling: Ruling, put: Put) -> bytes:
        newest = await self._store.newest_event(suspicion.run)
        now = self._api.clock.now()
        raw = verdict(self._health.name, suspicion.run, ruling, anchor=suspicion.anchor, occurred=now, newest=newest)
        await put(Frame(self._health.name, Net.STATES, raw))
        return raw

    async def _ruling(self, suspicion: Suspicion, run: Json | None) -> Ruling:
        signs = self._watch.tracker.get(suspicion.run)
        has_beats = suspicion.reason in (Reason.HEARTBEAT_MISSING, Reason.HEARTBEAT)
        return Ruling(
            status=suspicion.reason.status,
            reason=suspicion.reason,
            since=from_micros(suspicion.since),
            last_heartbeat=from_micros(suspicion.since) if has_beats else None,
            interval=suspicion.interval / SECOND if suspicion.interval else None,
            deadline=from_micros(suspicion.deadline),
            state=State(type=signs.move.type, name=signs.move.name) if signs else None,
            run_count=suspicion.attempt,
            incident=await self._confirming.root(run) if run else None,
        )

    async def _act(self, suspicion: Suspicion, ruling: Ruling, event: Json, put: Put) -> None:
        """Check a last time, act, and say so; a run that has come back meanwhile is left alone."""
        if self._acting.emit:
            try:
                await emit(self._api, event["id"], suspicion.run, event["occurred"], event["payload"]["verdict"])
            except SourceError as error:
                logger.warning("cannot tell Prefect of a zombie", run=str(suspicion.run), error=str(error))
        if self._acting.on_zombie is Action.REPORT or not await self._still_stands(suspicion, put):
            return
        message = f"no heartbeat since {_short(ruling.since)}; set by streamer"
        result = await act(self._api, suspicion.run, self._acting, message)
        self._meters.zombie_actions.labels(self._acting.on_zombie, result).inc()
        acted = ruling.model_copy(
            update={"status": VerdictStatus.ACTED, "action": self._acting.on_zombie.value, "result": result}
        )
        await self._put(suspicion, acted, put)

    async def _still_stands(self, suspicion: Suspicion, put: Put) -> bool:
        try:
            return await self._confirming.still_stands(suspicion, put)
        except (SourceError, KeyError, TypeError, ValueError) as error:
            logger.warning("cannot check a zombie again, so nothing is done", run=str(suspicion.run), error=str(error))
            return False


def _short(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
