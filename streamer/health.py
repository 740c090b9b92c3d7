"""What is true of a source right now: said by its nets, read by `/readyz`, the page and the metrics."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime

from streamer.instruments import Instruments
from streamer.protocol import Outcome


@dataclass(slots=True)
class SourceHealth:
    """The state of one source; `opened` is set at each connect, for whoever must catch up then."""

    name: str
    instruments: Instruments
    connected: bool = False
    caught_up: bool = False
    problem: str | None = "not yet connected"
    ever_connected: bool = False
    watermark: datetime | None = None
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_ready(self) -> bool:
        """Tell whether events arrive and none is known to be missing."""
        return self.connected and self.caught_up

    def open(self) -> None:
        """Note that the websocket is open; what happened before it was is not yet known."""
        self.connected, self.ever_connected, self.problem = True, True, None
        self.instruments.connections.labels(self.name, Outcome.OK).inc()
        self._show(caught_up=False)
        self.opened.set()

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

    def moved(self, watermark: datetime, *, complete: bool) -> None:
        """Note that the watermark moved, and whether the sweep has read up to the present since the last connect."""
        self.watermark = watermark
        self.instruments.watermark.labels(self.name).set(watermark.timestamp())
        self._show(caught_up=self.caught_up or (complete and not self.opened.is_set()))

    def _show(self, *, caught_up: bool) -> None:
        self.caught_up = caught_up
        self.instruments.connected.labels(self.name).set(self.connected)
        self.instruments.caught_up.labels(self.name).set(caught_up)
