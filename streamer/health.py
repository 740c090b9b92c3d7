"""What is true of a source right now: said by its nets, read by `/readyz`, the page and the metrics."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime

from schemas import Event
from streamer.clock import SystemClock
from streamer.instruments import Instruments
from streamer.model import Appended, Clock, Net
from streamer.protocol import Outcome

AFTER_CONNECT = (0.0, 10.0, 60.0)
"""The server writes events up to 5 s late, so that reading right after a connect misses some."""

AFTER_BURST = (7.0, 20.0)
"""The server's queue for a subscriber holds 256; what does not fit is dropped."""

READ_LATELY_SECONDS = 60.0
"""The sweep has something to say more often than this, with or without a websocket."""

SILENT_SECONDS = 15.0
"""An event this much younger than the last live message, which only the sweep brings, says that the stream is dead."""


@dataclass(slots=True)
class SourceHealth:
    """The state of one source; `doubts` tells the sweep after how many seconds to read the newest again,
    and `present` is set while it has caught up.
    """

    name: str
    instruments: Instruments
    connected: bool = False
    caught_up: bool = False
    problem: str | None = "not yet connected"
    ever_connected: bool = False
    opens: int = 0
    watermark: datetime | None = None
    read_at: float | None = None
    stale: asyncio.Event = field(default_factory=asyncio.Event)
    clock: Clock = field(default_factory=SystemClock)
    _heard_at: float | None = None
    _refused: bool = False
    present: asyncio.Event = field(default_factory=asyncio.Event)
    doubts: asyncio.Queue[tuple[float, ...]] = field(default_factory=asyncio.Queue)

    @property
    def mode(self) -> str:
        """Return `live` while the websocket is open, and `rest` while the sweep carries on alone."""
        return "live" if self.connected else "rest"

    @property
    def is_ready(self) -> bool:
        """Tell whether events arrive and none is known to be missing; by REST alone, that it was read a moment ago."""
        was_read = self.read_at is not None and self.clock.monotonic() - self.read_at < READ_LATELY_SECONDS
        return was_read and (self.caught_up if self.connected else self._refused)

    @property
    def missing(self) -> str | None:
        """Return in words what keeps this source from being ready."""
        if self.is_ready:
            return None
        if self.connected:
            return "REST does not answer" if self.caught_up else "not caught up yet"
        return self.problem or "not connected"

    def open(self) -> None:
        """Note that the websocket is open; what happened before it was is not yet known."""
        self.connected, self.ever_connected, self.problem, self._heard_at = True, True, None, self.clock.monotonic()
        self._refused = False
        self.stale.clear()
        self.opens += 1
        self.instruments.connections.labels(self.name, Outcome.OK).inc()
        self._show(caught_up=False)
        self.doubts.put_nowait(AFTER_CONNECT)

    def failed(self, outcome: Outcome, problem: str) -> None:
        """Note that an attempt to connect failed."""
        self.problem, self._refused = problem, outcome is not Outcome.AUTH
        self.instruments.connections.labels(self.name, outcome).inc()

    def closed(self, code: str, problem: str) -> None:
        """Note that the websocket closed, with its close code, or in a word why we closed it."""
        self.connected, self.problem, self.read_at = False, problem, None
        self.instruments.disconnects.labels(self.name, code).inc()
        self._show(caught_up=False)

    def committed(self, source: str, net: Net, appended: Appended) -> None:
        """Watch, as an observer, for events that only the sweep brings although the websocket is open and silent."""
        if source != self.name:
            return
        if net is Net.LIVE:
            self._heard_at = self.clock.monotonic()
        elif net is Net.SWEEP and self.connected and self._heard_at is not None:
            silent = self.clock.monotonic() - self._heard_at
            unheard = [each for each in appended.records if self._age(each.event) < silent - SILENT_SECONDS]
            if unheard:
                self.stale.set()

    def burst(self) -> None:
        """Note that so many events came at once that the server may have dropped some."""
        self.doubts.put_nowait(AFTER_BURST)

    def moved(self, watermark: datetime | None, *, complete: bool) -> None:
        """Note that the watermark moved, and whether the sweep has read up to the present since the last connect."""
        if watermark:
            self.watermark = watermark
            self.instruments.watermark.labels(self.name).set(watermark.timestamp())
        self._show(caught_up=self.caught_up or complete)

        if watermark or complete:
            self.read_at = self.clock.monotonic()

    def _age(self, event: Event) -> float:
        return (self.clock.now() - event.occurred).total_seconds()

    def _show(self, *, caught_up: bool) -> None:
        self.caught_up = caught_up
        if caught_up:
            self.present.set()
        else:
            self.present.clear()
        self.instruments.connected.labels(self.name).set(self.connected)
        self.instruments.caught_up.labels(self.name).set(caught_up)
