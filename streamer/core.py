"""The middle of the house: what questions are answered from, and with it what a source is plugged into."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

from streamer.alerts.reader import Alerting, never_yet
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
from streamer.run_facts import RunFacts
from streamer.store.sql import SqlStore


@dataclass(slots=True)
class Ground:
    """A store, its log and its metrics: what questions are answered from, whoever writes the store."""

    settings: Settings
    store: SqlStore
    log: Log
    instruments: Instruments
    metrics: Metrics
    clock: ServerClock

    @classmethod
    async def on(cls, store: SqlStore, settings: Settings) -> "Ground":
        """Return what stands on an open store."""
        log = await Log.open(store)
        instruments, clock = Instruments(), ServerClock(SystemClock())
        metrics = Metrics(instruments, await store.totals(), clock, settings.metrics.choices())
        metrics.begin_at_0(never_yet(settings.alerts, settings.source_names))
        _show_at_scrape(instruments, log, store)
        return cls(settings, store, log, instruments, metrics, clock)


@dataclass(slots=True)
class Core(Ground):
    """What a source is plugged into: log, pipeline and deliveries. Make one with `open_core`."""

    sinks: Deliveries
    alerting: Alerting
    intake: Intake
    health: dict[str, SourceHealth]

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


def open_store(settings: Settings, *, address: str = "", waits: bool = True) -> SqlStore:
    """Return the store of the settings, to write it; raise `LeaseError` or `StoreError` if another does."""
    return settings.place.open(address=address, counting=settings.metrics.counting(), waits=waits)


@asynccontextmanager
async def open_core(settings: Settings, store: SqlStore) -> AsyncIterator[Core]:
    """Open everything above a store that we write; close it all again in the right order, the store last."""
    async with AsyncExitStack() as stack:
        stack.push_async_callback(store.close)
        ground = await Ground.on(store, settings)
        log, clock, instruments = ground.log, ground.clock, ground.instruments
        intake, health = Intake(linger=settings.linger), dict[str, SourceHealth]()
        alerting = await _alerting(settings, log, intake, clock, health)
        facts = RunFacts(settings, store, instruments)
        stack.push_async_callback(facts.close)
        surroundings = replace(settings.surroundings, details=facts.of, firing=alerting.firing)
        sinks = Deliveries(log, instruments, surroundings, settings.redact)
        stack.push_async_callback(sinks.close)
        await sinks.change(sinks_of(settings), settings.routes)
        yield Core(settings, store, log, instruments, ground.metrics, clock, sinks, alerting, intake, health)


async def _alerting(
    settings: Settings, log: Log, intake: Intake, clock: ServerClock, health: Mapping[str, SourceHealth]
) -> Alerting:
    def sees(source: str) -> bool:
        return bool(health) and not (source in health and health[source].missing)

    return await Alerting.open(settings.alerts, log, intake.put, clock, sees=sees)


def _show_at_scrape(instruments: Instruments, log: Log, store: SqlStore) -> None:
    instruments.log_head.set_function(lambda: log.head)
    instruments.log_records.set_function(lambda: log.size)
    instruments.store_bytes.set_function(store.bytes_on_disk)
    instruments.store_writable.set_function(lambda: store.trouble is None)
    instruments.leader.set_function(lambda: store.leads)
