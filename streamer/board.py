"""All gauges of a service: those that follow commits, and those that are asked of the store now and then."""

import asyncio
import time
from collections.abc import Mapping

import structlog

from streamer.core import Ground
from streamer.durations import in_words
from streamer.errors import StoreError
from streamer.liveness import Tracker
from streamer.metrics.compat import Compat
from streamer.metrics.inventory import InventoryGauges
from streamer.metrics.outcomes import Outcomes
from streamer.metrics.runs import RunGauges
from streamer.metrics.windows import WindowGauges

EVERY_SECONDS = 15.0
REST = 20
"""A store that takes long to answer is asked less often: it has this many times as long without us."""

logger = structlog.get_logger(__name__)


class Board:
    """The gauges of runs, windows and inventory."""

    def __init__(self, ground: Ground, trackers: Mapping[str, Tracker]) -> None:
        settings, metrics, registry = ground.settings.metrics, ground.metrics, ground.instruments.registry
        self._ground = ground
        self._outcomes = Outcomes(metrics.labels, registry)
        self.inventory = InventoryGauges(registry)
        RunGauges(trackers, metrics.labels, registry, ground.clock, ttl=settings.series_ttl)
        windows = {in_words(window): window for window in settings.windows}
        self._windows = WindowGauges(windows, metrics.names, registry)
        self._compat = Compat(self.inventory, metrics.names, registry, ground.clock) if settings.compat else None

    async def keep_asking(self) -> None:
        """Ask the store what has become of runs, for ever."""
        while True:
            begun = time.monotonic()
            try:
                await self.refresh()
            except StoreError as error:
                logger.warning("cannot read what runs have done", error=str(error))
            await asyncio.sleep(max(EVERY_SECONDS, REST * (time.monotonic() - begun)))

    async def refresh(self) -> None:
        """Ask the store once."""
        store, now = self._ground.store, self._ground.clock.now()
        await self._windows.refresh(store, now)
        await self._outcomes.refresh(store, now - self._ground.settings.metrics.series_ttl)
        self.inventory.late = await store.late_runs()
        if self._compat:
            await self._compat.refresh(store, now)
