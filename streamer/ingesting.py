"""All ways in of one source: its nets, and what is asked of its server besides."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

import structlog

from streamer import audit
from streamer.board import Board
from streamer.clock import ServerClock, SystemClock
from streamer.config import Settings
from streamer.connecting import connection_of
from streamer.core import Core
from streamer.errors import ConnectionLost, SourceError
from streamer.health import SourceHealth
from streamer.liveness import Tracker
from streamer.source.api import PER_MINUTE, PER_MINUTE_CLOUD, Api
from streamer.source.dues import DueTimes
from streamer.source.inventory import InventoryReader
from streamer.source.live import LiveSource
from streamer.source.states import States
from streamer.source.sweep import Sweep
from streamer.source.verdicts import Verdicts
from streamer.watch import Watch

HELLO_EVERY_SECONDS = 2.0
REFUSED_SECONDS = 30.0

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Subscription:
    """One source, with settings of its own and the time as its server has it, and what is known of it."""

    settings: Settings
    clock: ServerClock
    health: SourceHealth
    watch: Watch

    @classmethod
    def of(cls, core: Core, settings: Settings, clock: ServerClock) -> "Subscription":
        """Return that of the source of these settings, which nothing has come from yet."""
        health = SourceHealth(settings.source, core.instruments, clock=clock)
        rules, names = settings.liveness, core.metrics.names
        tracker = Tracker(lambda move: rules.limits_of(move, names))
        return cls(settings, clock, health, Watch(tracker, health, clock, core.instruments))


def subscriptions(core: Core) -> list[Subscription]:
    """Return one for each source; the first one's clock is the service's."""
    each_source = core.settings.each_source
    clocks = [core.clock, *(ServerClock(SystemClock()) for _ in each_source[1:])]
    return [Subscription.of(core, each, clock) for each, clock in zip(each_source, clocks, strict=True)]


async def ingest(core: Core, subscription: Subscription, board: Board) -> None:
    """Put what happens into the intake, by all nets, for ever; wait for the server first, however long it takes.

    Credentials that are refused at the start are fatal, but not if there are other sources: then they are waited for.
    """
    settings, clock, health, watch = (
        subscription.settings,
        subscription.clock,
        subscription.health,
        subscription.watch,
    )
    connection = connection_of(settings)
    usual = PER_MINUTE_CLOUD if settings.is_cloud else PER_MINUTE
    budget = settings.requests_per_minute or usual
    async with Api(connection, clock, core.instruments, per_minute=budget) as server:
        await _hello(server, health, outlasts=ConnectionLost if len(core.health) == 1 else SourceError)
        state = await core.log.open_source(health.name, identity=connection.api_url, now=clock.now())
        live = LiveSource(connection, health, clock)
        ages = [audit.with_width(age // timedelta(microseconds=1)) for age in settings.audits]
        sweep = Sweep(server, core.store, health, state, history=settings.since, ages=ages)
        states = States(server, core.store, health, state, every=settings.resync)
        dues = DueTimes(server, core.store, health)
        watch.load((await core.store.runs(await core.store.unfinished(health.name))).values())
        verdicts = Verdicts(server, core.store, health, watch, settings.liveness.acting)
        async with asyncio.TaskGroup() as nets:
            nets.create_task(live.run(core.intake.put), name="live")
            nets.create_task(sweep.run(core.intake.put), name="sweep")
            nets.create_task(states.run(core.intake.put), name="states")
            nets.create_task(dues.run(core.intake.put), name="dues")
            if isinstance(every := settings.metrics.inventory, timedelta):
                inventory = InventoryReader(server, health, board.inventory.take, every=every)
                nets.create_task(inventory.run(), name="inventory")
            if settings.liveness.enabled:
                nets.create_task(verdicts.run(core.intake.put), name="verdicts")


async def _hello(api: Api, health: SourceHealth, outlasts: type[SourceError]) -> None:
    """Wait for the server, however long it takes."""
    while True:
        try:
            return await api.hello()
        except outlasts as error:
            if health.problem != str(error):
                logger.warning("waiting for the server", source=health.name, error=str(error), hint=error.hint)
            health.problem = str(error)
            after = error.after if isinstance(error, ConnectionLost) else REFUSED_SECONDS
            await asyncio.sleep(after or HELLO_EVERY_SECONDS)
