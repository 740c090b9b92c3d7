"""The deliveries of a service: how they run and stop, and how a changed configuration is taken over."""

import asyncio
import fnmatch
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from pydantic import ValidationError

from streamer import sinks
from streamer.config import Settings, SinkSettings
from streamer.delivery import Delivery
from streamer.errors import ConfigError
from streamer.instruments import Instruments
from streamer.log import Log
from streamer.model import Record, Sink
from streamer.redaction import Redaction
from streamer.routing import Route
from streamer.starts import since
from streamer.surroundings import Surroundings

logger = structlog.get_logger(__name__)


class Deliveries:
    """One delivery for each configured sink. `change` may be called before they run, and while they do."""

    def __init__(self, log: Log, instruments: Instruments, surroundings: Surroundings, redaction: Redaction) -> None:
        self.all: list[Delivery] = []
        self.settings: Mapping[str, SinkSettings] = {}
        self._routes: Sequence[Route] = ()
        self._log = log
        self._instruments = instruments
        self._surroundings = surroundings
        self._redaction = redaction
        self._tasks: asyncio.TaskGroup | None = None
        self._running: dict[str, asyncio.Task[None]] = {}

    async def change(self, wanted: Mapping[str, SinkSettings], routes: Sequence[Route] = ()) -> None:
        """Add, change and remove sinks; raise `ConfigError`, and change none, if one of them cannot be made."""
        made = {
            name: sinks.build(each.type, each.options, surroundings=self._surroundings_of(name, each, routes))
            for name, each in wanted.items()
            if self.settings.get(name) != each or self._routes != routes
        }
        for delivery in list(self.all):
            if delivery.name in made or delivery.name not in wanted:
                await self._end(delivery)
        for name, sink in made.items():
            await self._begin(name, sink, wanted[name], routes)
        self.settings, self._routes = dict(wanted), routes

    def _surroundings_of(self, name: str, settings: SinkSettings, routes: Sequence[Route]) -> Surroundings:
        """Return what a sink may ask about: of what fires only what it is given, as it is given it."""
        wishes = settings.terms(name, routes).routing

        def firing() -> Sequence[Record]:
            wanted = [each for each in self._surroundings.firing() if wishes.refusal(each) is None]
            return [self._redaction.apply(each) for each in wanted]

        return replace(self._surroundings, firing=firing)

    @asynccontextmanager
    async def delivering(self, grace: timedelta) -> AsyncIterator[None]:
        """Run the deliveries; at the end wait for them to have all there is, for as long as the grace allows."""
        async with asyncio.TaskGroup() as self._tasks:
            for delivery in self.all:
                self._run(delivery, self._tasks)
            yield
            await self._drain(grace)
            for task in self._running.values():
                task.cancel()
        self._tasks = None

    async def close(self) -> None:
        """Close all sinks, and keep how far they have come."""
        async with AsyncExitStack() as closing:  # whatever becomes of one of them, all are closed
            for delivery in self.all:
                closing.push_async_callback(delivery.close)

    async def _begin(self, name: str, sink: Sink, settings: SinkSettings, routes: Sequence[Route]) -> None:
        delivery = Delivery(
            name,
            sink,
            self._log,
            self._instruments,
            since=since(settings.start, now=datetime.now(UTC)),
            terms=settings.terms(name, routes),
            redaction=self._redaction,
        )
        await delivery.open()
        self._instruments.sink_lag.labels(name).set_function(delivery.lag)
        self._instruments.sink_pending.labels(name).set_function(delivery.oldest_pending)
        self.all.append(delivery)
        if self._tasks:
            self._run(delivery, self._tasks)

    def _run(self, delivery: Delivery, tasks: asyncio.TaskGroup) -> None:
        self._running[delivery.name] = tasks.create_task(delivery.run(), name=delivery.name)

    async def _end(self, delivery: Delivery) -> None:
        if task := self._running.pop(delivery.name, None):
            task.cancel()
            await asyncio.wait([task])
        await delivery.close()
        self.all.remove(delivery)
        self._instruments.forget_sink(delivery.name)

    async def _drain(self, grace: timedelta) -> None:
        waiting = [asyncio.ensure_future(delivery.drained()) for delivery in self.all]
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=grace.total_seconds())
            for task in late:
                task.cancel()
        for delivery in self.all:
            if delivery.acked < self._log.head:
                logger.warning("a sink did not take everything; it goes on at the next start", sink=delivery.name)


def sinks_of(settings: Settings) -> dict[str, SinkSettings]:
    """Return all sinks by name, whether they are tables or specs."""
    wanted = dict(settings.sinks)
    for spec in settings.sink:
        kind, options = sinks.parse(spec)
        name = sinks.name_of(spec)
        if name in wanted:
            raise ConfigError(f"the sink {name} is given twice", hint="give each of them a name: [sinks.NAME]")
        wanted[name] = _settings(name, {"type": kind, **options})
    _require_destinations(settings.routes, wanted)
    return wanted


def _require_destinations(routes: Sequence[Route], names: Iterable[str]) -> None:
    for number, route in enumerate(routes, 1):
        if missing := set(route.sinks) - {glob for glob in route.sinks if fnmatch.filter(names, glob)}:
            hint = f"the sinks are: {', '.join(names) or 'none'}"
            raise ConfigError(f"route {number} leads to {', '.join(sorted(missing))}, and there is no such sink", hint)


def _settings(name: str, values: Mapping[str, Any]) -> SinkSettings:
    try:
        return SinkSettings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        option = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"sink {name}: {option}: {first['msg'].removeprefix('Value error, ')}") from None
