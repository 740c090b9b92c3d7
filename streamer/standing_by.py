"""A replica that stands by: it answers from the store that another writes, and follows what that one appends."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from itertools import groupby
from operator import attrgetter
from typing import Any, NoReturn

import structlog

from streamer import __version__
from streamer.alert_list import ListedAlert, stored_alerts
from streamer.answers import app_of
from streamer.board import Board
from streamer.config import Settings
from streamer.core import Ground
from streamer.deliveries import sinks_of
from streamer.errors import StoreError
from streamer.front import Front
from streamer.liveness import Tracker
from streamer.model import Appended, Net, RunState, SourceState
from streamer.operating import COMMANDS
from streamer.run_server import RunServer
from streamer.showing import Showing
from streamer.sink_list import ListedSink, SinkState, stored_sinks
from streamer.told import Told
from streamer.watch import load
from streamer.web.app import Role, SourceStatus, Status

EVERY_SECONDS = 1.0
AT_ONCE = 500

REST = 20
"""What takes long to find out is asked less often: the store has this many times as long without us."""

STALE_SECONDS = 10.0
"""A store that could not be read for so long may have moved on far."""

logger = structlog.get_logger(__name__)


@asynccontextmanager
async def standing_by(settings: Settings, front: Front) -> AsyncIterator[None]:
    """Answer from the store that another writes, for the length of the block."""
    async with AsyncExitStack() as stack:
        store = await asyncio.to_thread(settings.place.open_read_only)
        stack.push_async_callback(store.close)
        ground = await Ground.on(store, settings)
        standby = Standby(ground)
        server = RunServer(settings, store.run, ground.instruments)
        stack.push_async_callback(server.aclose)
        showing = await Showing.open(ground, standby.told)
        showing.follow(standby.trackers)
        board = Board(ground, standby.trackers)
        await standby.look(showing)
        await stack.enter_async_context(front.showing(app_of(ground, standby.told, server, showing)))
        reading = (standby.keep_following(showing), standby.keep_looking(showing), board.keep_asking())
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in (*reading, showing.stream.run())]
            yield
            for task in tasks:
                task.cancel()


class Standby:
    """What is known of a service by the store that another writes; `told` is what it tells of itself."""

    def __init__(self, ground: Ground) -> None:
        self.trackers: dict[str, Tracker] = {}
        self.told = Told(self._status, self._sinks, self._alerts, dict.fromkeys(COMMANDS, self._refuse))
        self._ground = ground
        self._wanted = sinks_of(ground.settings)
        self._sources: Sequence[SourceState] = ()
        self._read_at = time.monotonic()

    async def keep_following(self, showing: Showing) -> NoReturn:
        """Take up what was appended, for ever."""
        await _keep("follow the store", lambda: self._follow(showing), rest=1)

    async def keep_looking(self, showing: Showing) -> NoReturn:
        """Look for what no record tells, for ever."""
        await _keep("look at the store", lambda: self.look(showing), rest=REST)

    async def _follow(self, showing: Showing) -> None:
        while records := await self._ground.log.follow(AT_ONCE):
            for source, group in groupby(records, key=attrgetter("source")):
                showing.feed.committed(source, Net.SWEEP, Appended(list(group)))
        self._read_at = time.monotonic()

    async def look(self, showing: Showing) -> None:
        """Ask the store for counters, and for the runs that have not ended with their heartbeats."""
        store = self._ground.store
        self._sources = await store.sources()
        await self._ground.log.look_again()
        self._ground.metrics.take_over(await store.totals())
        await showing.look_again()
        self.trackers.update(await asyncio.to_thread(self._tracked, await store.unfinished_runs()))

    def _tracked(self, runs: Sequence[RunState]) -> dict[str, Tracker]:
        rules, names = self._ground.settings.liveness, self._ground.metrics.names
        sources = {*(each.name for each in self._sources), *(run.source for run in runs)}
        trackers = {source: Tracker(lambda move: rules.limits_of(move, names)) for source in sources}
        for run in runs:
            load(trackers[run.source], [run])
        return trackers

    def _status(self) -> Status:
        silent = time.monotonic() - self._read_at
        stale = silent > STALE_SECONDS
        sources = [
            SourceStatus(each.name, each.identity, "store", not stale, not stale, None, each.watermark)
            for each in self._sources
        ]
        trouble = f"the store that is followed could not be read for {silent:.0f} s" if stale else None
        return Status(__version__, sources, [], self._ground.log.head, trouble, Role.STANDBY)

    async def _sinks(self) -> list[ListedSink]:
        return await stored_sinks(self._ground.store, self._wanted, state=SinkState.ELSEWHERE)

    async def _alerts(self) -> list[ListedAlert]:
        return await stored_alerts(self._ground.store, self._ground.settings, now=self._ground.clock.now())

    async def _refuse(self, **_: Any) -> Mapping[str, Any]:
        leader = await asyncio.to_thread(self._ground.settings.place.service)
        where = leader.address if leader else "a replica that leads, once there is one"
        raise StoreError("this replica stands by, and changes nothing", hint=f"ask {where}")


class Passing:
    """Lets pass what may be over in a moment, such as a database that is away; says when it begins and when it ends."""

    def __init__(self, doing: str) -> None:
        self._doing = doing
        self._is_said = False

    @contextmanager
    def let(self) -> Iterator[None]:
        """Do something in the block; whatever a person has to see to comes out."""
        try:
            yield
        except StoreError as error:
            if not error.may_pass:
                raise
            if not self._is_said:
                logger.warning("waiting for the store", to=self._doing, error=str(error), hint=error.hint)
            self._is_said = True
        else:
            if self._is_said:
                logger.info("the store answers again", to=self._doing)
            self._is_said = False


async def _keep(doing: str, do: Callable[[], Awaitable[None]], *, rest: float) -> NoReturn:
    """Do it again and again, with so many times as long a rest as it took, but not after it failed."""
    passing = Passing(doing)
    while True:
        begun, took = time.monotonic(), 0.0
        with passing.let():
            await do()
            took = time.monotonic() - begun
        await asyncio.sleep(max(EVERY_SECONDS, rest * took))
