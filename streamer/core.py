"""The middle of the house, ready for a source: store, log, pipeline, metrics and deliveries, and how they stop."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from streamer.clock import ServerClock, SystemClock
from streamer.config import Settings
from streamer.deliveries import Deliveries, sinks_of
from streamer.delivery import Delivery
from streamer.health import SourceHealth
from streamer.instruments import Instruments
from streamer.intake import Intake
from streamer.log import Log
from streamer.metrics.counters import Metrics
from streamer.model import Observer
from streamer.pipeline import Pipeline
from streamer.store.sqlite import SqliteStore


@dataclass(slots=True)
class Core:
    """What a source is plugged into. Make one with `open_core`."""

    settings: Settings
    store: SqliteStore
    log: Log
    instruments: Instruments
    metrics: Metrics
    clock: ServerClock
    sinks: Deliveries
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

    @property
    def deliveries(self) -> list[Delivery]:
        """Return the deliveries that there are now."""
        return self.sinks.all

    def delivering(self) -> AbstractAsyncContextManager[None]:
        """Run the deliveries; at the end wait for them to have all there is, for as long as the grace allows."""
        return self.sinks.delivering(self.settings.grace)


@asynccontextmanager
async def open_core(settings: Settings, *, address: str = "") -> AsyncIterator[Core]:
    """Open the store and everything above it; close it all again in the right order."""
    async with AsyncExitStack() as stack:
        store = SqliteStore.open(settings.store_path, address=address, counting=settings.metrics.counting())
        stack.push_async_callback(store.close)
        log = await Log.open(store)
        instruments, clock = Instruments(), ServerClock(SystemClock())
        metrics = Metrics(instruments, await store.totals(), clock, settings.metrics.choices())
        _show_at_scrape(instruments, log, store)
        sinks = Deliveries(log, instruments, {settings.source: settings.api_url}, settings.redact)
        stack.push_async_callback(sinks.close)
        await sinks.change(sinks_of(settings))
        yield Core(settings, store, log, instruments, metrics, clock, sinks)


def _show_at_scrape(instruments: Instruments, log: Log, store: SqliteStore) -> None:
    instruments.log_head.set_function(lambda: log.head)
    instruments.log_records.set_function(lambda: log.size)
    instruments.store_bytes.set_function(store.bytes_on_disk)
    instruments.store_writable.set_function(lambda: store.trouble is None)
