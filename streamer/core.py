"""The middle of the house, ready for a source: store, log, pipeline, metrics and deliveries, and how they stop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import structlog

from streamer import sinks
from streamer.clock import ServerClock, SystemClock
from streamer.config import Settings, SinkSettings
from streamer.delivery import Delivery
from streamer.errors import ConfigError
from streamer.health import SourceHealth
from streamer.instruments import Instruments
from streamer.intake import Intake
from streamer.log import Log
from streamer.metrics.counters import Metrics
from streamer.model import Observer
from streamer.pipeline import Pipeline
from streamer.store.sqlite import SqliteStore

logger = structlog.get_logger(__name__)


@dataclass(slots=True)
class Core:
    """What a source is plugged into. Make one with `open_core`."""

    settings: Settings
    store: SqliteStore
    log: Log
    instruments: Instruments
    metrics: Metrics
    clock: ServerClock
    deliveries: list[Delivery]
    intake: Intake = field(default_factory=Intake)
    health: dict[str, SourceHealth] = field(default_factory=dict)

    def pipeline(self, *observers: Observer) -> Pipeline:
        """Return the pipeline from the intake to the log."""
        return Pipeline(
            self.intake,
            self.log,
            self.instruments,
            health=self.health,
            observers=(self.metrics, *observers),
            selection=self.settings.select,
        )

    @asynccontextmanager
    async def delivering(self) -> AsyncIterator[None]:
        """Run the deliveries; at the end wait for them to have all there is, for as long as the grace allows."""
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(delivery.run(), name=delivery.name) for delivery in self.deliveries]
            yield
            await self._drain()
            for task in running:
                task.cancel()

    async def _drain(self) -> None:
        grace = self.settings.grace.total_seconds()
        waiting = [asyncio.ensure_future(delivery.drained()) for delivery in self.deliveries]
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=grace)
            for task in late:
                task.cancel()
        for delivery in self.deliveries:
            if delivery.acked < self.log.head:
                logger.warning("a sink did not take everything; it goes on at the next start", sink=delivery.name)


@asynccontextmanager
async def open_core(settings: Settings, *, address: str = "") -> AsyncIterator[Core]:
    """Open the store and everything above it; close it all again in the right order."""
    async with AsyncExitStack() as stack:
        store = SqliteStore.open(settings.store_path, address=address, counting=settings.metrics.counting())
        stack.push_async_callback(store.close)
        log = await Log.open(store)
        instruments, clock = Instruments(), ServerClock(SystemClock())
        metrics = Metrics(instruments, await store.totals(), clock, settings.metrics.choices())
        deliveries = _deliveries(settings, log, instruments)
        _show_at_scrape(instruments, log, store, deliveries)
        for delivery in deliveries:
            await delivery.open()
            stack.push_async_callback(delivery.close)
        yield Core(settings, store, log, instruments, metrics, clock, deliveries)


def _show_at_scrape(instruments: Instruments, log: Log, store: SqliteStore, deliveries: list[Delivery]) -> None:
    instruments.log_head.set_function(lambda: log.head)
    instruments.log_records.set_function(lambda: log.size)
    instruments.store_bytes.set_function(store.bytes_on_disk)
    instruments.store_writable.set_function(lambda: store.trouble is None)
    for delivery in deliveries:
        instruments.sink_lag.labels(delivery.name).set_function(delivery.lag)
        instruments.sink_pending.labels(delivery.name).set_function(delivery.oldest_pending)


def sinks_of(settings: Settings) -> dict[str, SinkSettings]:
    """Return all sinks by name, whether they are tables or specs."""
    wanted = dict(settings.sinks)
    for spec in settings.sink:
        kind, options = sinks.parse(spec)
        name, start = sinks.name_of(spec), options.pop("start", "head")
        if name in wanted:
            raise ConfigError(f"the sink {name} is given twice", hint="give each of them a name: [sinks.NAME]")
        if start not in ("head", "oldest"):
            raise ConfigError(f"sink {name}: start {start!r} is no place in the log", hint="start=head or start=oldest")
        wanted[name] = SinkSettings(type=kind, start=start, **options)
    return wanted


def _deliveries(settings: Settings, log: Log, instruments: Instruments) -> list[Delivery]:
    return [
        Delivery(name, sinks.build(each.type, each.options), log, instruments, oldest=each.start == "oldest")
        for name, each in sinks_of(settings).items()
    ]
