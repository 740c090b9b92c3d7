"""All ways in of one source: its nets, and what is asked of its server besides."""

import asyncio
from datetime import timedelta

import structlog

from streamer import audit
from streamer.board import Board
from streamer.connecting import connection_of
from streamer.core import Core
from streamer.errors import ConnectionLost
from streamer.health import SourceHealth
from streamer.source.api import PER_MINUTE, PER_MINUTE_CLOUD, Api
from streamer.source.dues import DueTimes
from streamer.source.inventory import InventoryReader
from streamer.source.live import LiveSource
from streamer.source.states import States
from streamer.source.sweep import Sweep
from streamer.source.verdicts import Verdicts
from streamer.watch import Watch

HELLO_EVERY_SECONDS = 2.0

logger = structlog.get_logger(__name__)


async def ingest(core: Core, health: SourceHealth, watch: Watch, board: Board) -> None:
    """Put what happens into the intake, by all nets, for ever; wait for the server first, however long it takes."""
    settings = core.settings
    connection = connection_of(settings)
    usual = PER_MINUTE_CLOUD if settings.is_cloud else PER_MINUTE
    budget = settings.requests_per_minute or usual
    async with Api(connection, core.clock, core.instruments, per_minute=budget) as server:
        await _hello(server, health)
        state = await core.log.open_source(health.name, identity=connection.api_url, now=core.clock.now())
        live = LiveSource(connection, health, core.clock)
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


async def _hello(api: Api, health: SourceHealth) -> None:
    """Wait for the server, however long it takes; refused credentials are fatal here."""
    while True:
        try:
            return await api.hello()
        except ConnectionLost as error:
            if health.problem != str(error):
                logger.warning("waiting for the server", source=health.name, error=str(error))
            health.problem = str(error)
            await asyncio.sleep(error.after or HELLO_EVERY_SECONDS)
