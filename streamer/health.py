"""What is true of a source right now: said by its nets, read by `/readyz`, the page and the metrics."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime

from streamer.instruments import Instruments
from streamer.protocol import Outcome

AFTER_CONNECT = (0.0, 10.0, 60.0)
"""The server writes events up to 5 s late, so that reading right after a connect misses some."""

AFTER_BURST = (7.0, 20.0)
"""The server's queue for a subscriber holds 256; what does not fit is dropped."""


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
    watermark: datetime | None = None
    present: asyncio.Event = field(default_factory=asyncio.Event)
    doubts: asyncio.Queue[tuple[float, ...]] = field(default_factory=asyncio.Queue)

    @property
    def is_ready(self) -> bool:
        """Tell whether events arrive and none is known to be missing."""
        return self.connected and self.caught_up

    def open(self) -> None:
        """Note that the websocket is open; what happened before it was is not yet known."""
        self.connected, self.ever_connected, self.problem = True, True, None
        self.instruments.connections.labels(self.name, Outcome.OK).inc()
        self._show(caught_up=False)
        self.doubts.put_nowait(AFTER_CONNECT)

    def failed(self, outcome: Outcome, problem: str) -> None:
        """Note that an attempt to connect failed."""
        self.problem = problem
        self.instruments.connections.labels(self.name, outcome).inc()
        self._show(caught_up=False)

    def closed(self, code: int | None, problem: str) -> None:
        """Note that the websocket closed."""
        self.connected, self.problem = False, problem
        self.instruments.disconnects.labels(self.name, str(code or 1006)).inc()
        self._show(caught_up=False)

    def burst(self) -> None:
        """Note that so many events came at once that the server may have dropped some."""
        self.doubts.put_nowait(AFTER_BURST)

    def moved(self, watermark: datetime | None, *, complete: bool) -> None:
        """Note that the watermark moved, and whether the sweep has read up to the present since the last connect."""
        if watermark:
            self.watermark = watermark
            self.instruments.watermark.labels(self.name).set(watermark.timestamp())
        self._show(caught_up=self.caught_up or (complete and self.doubts.empty()))

    def _show(self, *, caught_up: bool) -> None:
        self.caught_up = caught_up
        (self.present.set if caught_up else self.present.clear)()
        self.instruments.connected.labels(self.name).set(self.connected)
        self.instruments.caught_up.labels(self.name).set(caught_up)
