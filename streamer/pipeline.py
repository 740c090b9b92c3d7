"""Frames → events → log → observers.

Nothing that comes in can stop it: what is no event goes to quarantine, what an observer raises is counted. What stops
it is a store that cannot be written, since an event that is not on the disk has not arrived.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from types import MappingProxyType

import structlog

from schemas import Alert, Event, InvalidEvent, Notice, Reason, Verdict, decode
from schemas.event import FLOW_RUN_PREFIX
from streamer.health import SourceHealth
from streamer.instruments import Instruments
from streamer.intake import Intake
from streamer.log import Log
from streamer.model import Appended, Conclusions, Dues, Frame, Item, Mark, Net, Observer
from streamer.selection import Selection

Ours = Verdict | Notice | Alert

BATCH = 512
"""The most frames to a transaction."""

logger = structlog.get_logger(__name__)


class Pipeline:
    """Move what arrives into the log, in order, a transaction for what has arrived."""

    def __init__(
        self,
        intake: Intake,
        log: Log,
        instruments: Instruments,
        *,
        health: Mapping[str, SourceHealth] = MappingProxyType({}),
        observers: Iterable[Observer] = (),
        selection: Selection | None = None,
    ) -> None:
        self._intake = intake
        self._log = log
        self._instruments = instruments
        self._health = health
        self._observers = tuple(observers)
        self._selection = selection or Selection()

    async def run(self) -> None:
        """Work until the intake is closed and empty."""
        while items := await self._intake.take(BATCH):
            for (kind, source, net), group in groupby(items, key=_group):
                if kind is Dues:
                    for dues in group:
                        assert isinstance(dues, Dues)
                        self._tell(source, net, await self._log.learn(dues))
                elif kind is Conclusions:
                    for each in group:
                        assert isinstance(each, Conclusions)
                        await self._conclude(each)
                elif kind is Mark:
                    await self._mark(source, [item for item in group if isinstance(item, Mark)])
                else:
                    await self._take_in(source, net, [item for item in group if isinstance(item, Frame)])

    async def _mark(self, source: str, marks: Sequence[Mark]) -> None:
        watermark = max((mark.watermark for mark in marks if mark.watermark), default=None)
        if watermark:
            await self._log.append(source, (), net=Net.SWEEP, watermark=watermark)
        if health := self._health.get(source):
            health.moved(watermark, complete=any(mark.complete for mark in marks))
        for mark in marks:
            if mark.reached:
                mark.reached()

    async def _conclude(self, drawn: Conclusions) -> None:
        appended = await self._log.append(drawn.source, drawn.events, net=Net.STATES, progress=drawn.progress)
        self._tell(drawn.source, Net.STATES, appended)
        drawn.reached()

    async def _take_in(self, source: str, net: Net, frames: Sequence[Frame]) -> None:
        events: list[Event] = []
        passed_over: list[Event] = []
        for frame in frames:
            try:
                event = _from_outside(frame)
            except InvalidEvent as error:
                await self._quarantine(frame, error)
                continue
            self._instruments.received.labels(source, net, event.kind).inc()
            (events if self._is_wanted(event) else passed_over).append(event)
        if events or passed_over:
            appended = await self._log.append(source, events, net=net, passed_over=passed_over)
            self._instruments.expired.labels(source, net).inc(appended.expired)
            self._tell(source, net, appended)

    def _is_wanted(self, event: Event) -> bool:
        return isinstance(event, Ours) or (event.name.startswith(FLOW_RUN_PREFIX) and event in self._selection)

    async def _quarantine(self, frame: Frame, error: InvalidEvent) -> None:
        totals = await self._log.quarantine(frame, error)
        self._tell(frame.source, frame.net, Appended(totals=totals))

    def _tell(self, source: str, net: Net, appended: Appended) -> None:
        for observer in self._observers:
            try:
                observer.committed(source, net, appended)
            except Exception:
                self._instruments.observer_errors.labels(observer.name).inc()
                logger.exception("an observer failed", observer=observer.name)


def _group(item: Item) -> tuple[type, str, Net]:
    return (type(item), item.source, item.net if isinstance(item, Frame) else Net.SWEEP)


def _from_outside(frame: Frame) -> Event:
    """Decode a frame; only the net that makes events itself may bring ours."""
    event = decode(frame.data)
    if isinstance(event, Ours) and frame.net is not Net.STATES:
        raise InvalidEvent(Reason.FORGED, f"event: {event.name} is a name of ours")
    return event
