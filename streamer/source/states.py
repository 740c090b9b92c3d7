"""The states net: what happened to runs according to the server's tables, where no event told.

When the sweep has caught up, and then every few minutes, the runs that have not ended or ended lately are compared
with ours. A state that no net has brought is announced by an event of our making, under the state's own id. A run that
is gone was deleted, which Prefect announces to nobody; an event whose state is not there was rolled back: a phantom.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

import orjson
import structlog

from schemas import Notice, StateType, notices
from streamer import synthesis
from streamer.errors import SourceError
from streamer.health import SourceHealth
from streamer.model import Frame, Net, Put, RunState, SourceState, Store
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

SECOND_LOOK = timedelta(seconds=30)
"""An event whose state is nowhere to be found twice, so far apart, is a phantom."""

SETTLED_AT_LEAST = timedelta(seconds=10)
"""Who compares more often than every minute waits less, but not less than this: the server writes up to 5 s late."""

RETRY = timedelta(seconds=10)
REPAIRED_AT_ONCE = 500
MANY = 10
"""If more than half of at least so many runs vanish at once, the server's database was reset: act on nothing."""

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
        settled: timedelta | None = None,
        second_look: timedelta | None = None,
    ) -> None:
        self._clock = api.clock
        self._runs = RunsApi(api)
        self._store = store
        self._health = health
        self._ended_since = state.watermark - START_OVERLAP if state.watermark else state.epoch
        self._was_complete_until = state.watermark
        self._every = every
        patience = max(SETTLED_AT_LEAST, min(SETTLED, every))
        self._settled = patience if settled is None else settled
        self._second_look = min(SECOND_LOOK, patience) if second_look is None else second_look
        self._suspects: dict[UUID, datetime] = {}

    async def run(self, put: Put) -> None:
        """Put the events of states that nobody announced, for ever."""
        while True:
            await self._health.present.wait()
            pause = self._every
            try:
                await self._compare(put)
                pause = min(self._every, self._second_look) if self._suspects else self._every
            except (SourceError, KeyError, TypeError, ValueError) as error:
                logger.warning(
                    "cannot compare runs", source=self._health.name, error=f"{type(error).__name__}: {error}"
                )
                pause = RETRY
            await asyncio.sleep(pause.total_seconds())

    async def _announce_gap(self, put: Put) -> None:
        """Say, once after a start, what the server has forgotten since we were last complete."""
        if self._was_complete_until:
            now, start = self._clock.now(), self._was_complete_until
            end = now - await self._runs.retention()
            if start < end:
                logger.error("the server no longer has all events since we last ran", start=start, end=end)
                await self._put(notices.gap(self._health.name, start, end, occurred=now), put)
        self._was_complete_until = None

    async def _compare(self, put: Put) -> None:
        await self._announce_gap(put)
        started = self._clock.now()
        settled_before = started - self._settled
        broken = await self._store.broken(self._health.name, settled_before, REPAIRED_AT_ONCE)
        seen: set[UUID] = set()
        suspects: dict[UUID, dict[UUID, datetime]] = {}
        for pages in self._runs.unfinished(), self._runs.ended_since(self._ended_since - self._settled - OVERLAP):
            async for page in pages:
                theirs = {ident: run for run in page if (ident := UUID(run["id"])) not in seen}
                suspects |= await self._mend(theirs, broken, settled_before, put)
                seen |= theirs.keys()
        ours = await self._store.unfinished(self._health.name)
        theirs = {UUID(run["id"]): run async for run in self._runs.with_ids((ours.keys() | broken) - seen)}
        suspects |= await self._mend(theirs, broken, settled_before, put)
        await self._announce_deleted(ours.keys() - seen - theirs.keys(), ours, put)
        await settle(self._health.name, put)
        await self._store.mended(broken - suspects.keys(), settled_before, suspected=suspects.keys())
        self._suspects = {event: since for events in suspects.values() for event, since in events.items()}
        self._ended_since = started

    async def _mend(
        self, theirs: Mapping[UUID, Json], broken: set[UUID], settled_before: datetime, put: Put
    ) -> dict[UUID, dict[UUID, datetime]]:
        """Announce what these runs had and we do not; return by run the events suspected to be phantoms."""
        suspects = {}
        known = await self._store.runs(theirs.keys())
        seen = await self._store.known({UUID(run["state"]["id"]) for run in theirs.values() if run.get("state")})
        for ident, run in theirs.items():
            if ident in broken or _differs(run, known.get(ident), seen, settled_before):
                try:
                    suspects[ident] = await self._mend_run(run, ident in known, settled_before, put)
                except (KeyError, TypeError, ValueError) as error:
                    logger.warning(
                        "cannot read a run's states", run=str(ident), error=f"{type(error).__name__}: {error}"
                    )
        return {run: events for run, events in suspects.items() if events}

    async def _mend_run(self, run: Json, is_known: bool, settled_before: datetime, put: Put) -> dict[UUID, datetime]:
        is_new = not is_known and _is_newly_scheduled(run)
        states = [run["state"]] if is_new else await self._runs.states(run["id"])
        theirs = {UUID(state["id"]) for state in states}
        known = await self._store.known(theirs)
        for event in synthesis.events(run, states, await self._runs.names(run)):
            if UUID(event["id"]) not in known and _moment(event["occurred"]) < settled_before:
                await put(Frame(self._health.name, Net.STATES, orjson.dumps(event)))
        return await self._suspect(UUID(run["id"]), theirs, settled_before, put) if states and is_known else {}

    async def _suspect(self, run: UUID, states: set[UUID], settled_before: datetime, put: Put) -> dict[UUID, datetime]:
        """Say of events without a state, seen twice, that they are phantoms; return those seen the first time."""
        now, first_seen = self._clock.now(), {}
        for event, occurred in (await self._store.transitions(run)).items():
            if event not in states and occurred < settled_before:
                first_seen[event] = self._suspects.setdefault(event, now)
                if now - first_seen[event] >= self._second_look:
                    await self._put(notices.phantom(self._health.name, run, event, occurred=occurred), put)
                    del first_seen[event]
        return first_seen

    async def _announce_deleted(self, runs: set[UUID], ours: Mapping[UUID, StateType | None], put: Put) -> None:
        begun = {run for run, state in ours.items() if state is not StateType.SCHEDULED}  # schedules go all the time
        most = len(begun) >= MANY and len(begun & runs) > len(begun) / 2
        now = self._clock.now()
        if most or (len(ours) >= MANY and runs == ours.keys()):
            logger.error("most runs are gone from the server: was its database reset?", gone=len(runs), of=len(ours))
            await self._put(notices.reset(self._health.name, len(runs), len(ours), occurred=now), put)
            return
        for run in runs:
            await self._put(notices.deleted(self._health.name, run, occurred=now), put)

    async def _put(self, notice: Notice, put: Put) -> None:
        await put(Frame(self._health.name, Net.STATES, notice.raw))


def _differs(theirs: Json, ours: RunState | None, seen: set[UUID], settled_before: datetime) -> bool:
    """Tell whether the server shows a state that nobody announced, or that should be shown and is not.

    What is too young on either side is given time. A run that is none of ours was not selected, if its state was seen.
    """
    state = theirs.get("state")
    if not state or _moment(state["timestamp"]) >= settled_before:
        return False
    if ours is None or ours.state_id is None or ours.state_at is None:
        return UUID(state["id"]) not in seen
    return ours.state_id != UUID(state["id"]) and ours.state_at < settled_before


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _is_newly_scheduled(run: Json) -> bool:
    """Tell whether the state in the run is its only one; the scheduler makes many such, and announces none."""
    return bool(run["run_count"] == 0 and run["state"]["name"] == "Scheduled")
