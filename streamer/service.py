"""The service: builds everything, runs it in one task group, and stops it in order.

Stopping: the sources first, then what has arrived goes through the pipeline, then the sinks get what there is, within
the grace; then the web server, and last the store.
"""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import structlog
import uvicorn

from streamer import __version__
from streamer.config import Settings
from streamer.connecting import connection_of
from streamer.core import Core, open_core
from streamer.errors import ConfigError, ConnectionLost
from streamer.health import SourceHealth
from streamer.model import Observer
from streamer.source.api import Api
from streamer.source.live import LiveSource
from streamer.source.states import States
from streamer.source.sweep import Sweep
from streamer.web.app import SinkStatus, SourceStatus, Status, create_app

NEWEST_SHOWN = 25
COMPACT_EVERY_SECONDS = 60.0
HELLO_EVERY_SECONDS = 2.0

logger = structlog.get_logger(__name__)


class Service:
    """One source, one store, its sinks and its web server."""

    def __init__(self, settings: Settings, *, observers: Iterable[Observer] = ()) -> None:
        self._settings = settings
        self._observers = tuple(observers)
        self._started: asyncio.Future[tuple[str, Core]] = asyncio.Future()
        self._stopping = asyncio.Event()
        self._stopped = asyncio.Event()

    async def started(self) -> str:
        """Return the address of page, metrics and health, once the service listens there."""
        return (await self._started)[0]

    async def stopped(self) -> None:
        """Return when the service has ended."""
        await self._stopped.wait()

    @property
    def core(self) -> Core:
        """Return store, log and metrics of the started service."""
        return self._started.result()[1]

    def stop(self) -> None:
        """Ask the service to end in order; asked again, it ends without grace."""
        if self._stopping.is_set():
            raise SystemExit(1)
        logger.info("stopping; a second signal skips the grace", grace=self._settings.grace.total_seconds())
        self._stopping.set()

    async def run(self) -> None:
        """Run until stopped, or until something cannot be mended: see `errors.py` for what comes out."""
        try:
            with _listen(self._settings) as listener:
                await self._run(listener)
        finally:
            self._stopped.set()

    async def _run(self, listener: socket.socket) -> None:
        host, port = listener.getsockname()[:2]
        address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        async with open_core(self._settings, address=address) as core, _serving(_app(core), listener):
            names = [delivery.name for delivery in core.deliveries]
            logger.info("started", page=address, store=str(core.store.path), sinks=names)
            self._started.set_result((address, core))
            await self._work(core)
        logger.info("stopped", head=core.log.head)

    async def _work(self, core: Core) -> None:
        health = core.health[self._settings.source] = SourceHealth(
            self._settings.source, core.instruments, clock=core.clock
        )
        async with asyncio.TaskGroup() as tasks, core.delivering():
            ingesting = tasks.create_task(self._ingest(core, health), name="source")
            compacting = tasks.create_task(_compact(core), name="compact")
            moving = tasks.create_task(core.pipeline(health, *self._observers).run(), name="pipeline")
            await self._stopping.wait()
            for task in (ingesting, compacting):
                task.cancel()
            await asyncio.wait((ingesting, compacting))
            core.intake.close()
            await moving

    async def _ingest(self, core: Core, health: SourceHealth) -> None:
        connection = connection_of(self._settings)
        async with Api(connection, core.clock, core.instruments) as api:
            await _hello(api, health)
            state = await core.log.open_source(health.name, identity=connection.api_url, now=core.clock.now())
            live = LiveSource(connection, health, core.clock)
            sweep = Sweep(api, core.store, health, state, history=self._settings.since)
            states = States(api, core.store, health, state, every=self._settings.resync)
            async with asyncio.TaskGroup() as nets:
                nets.create_task(live.run(core.intake.put), name="live")
                nets.create_task(sweep.run(core.intake.put), name="sweep")
                nets.create_task(states.run(core.intake.put), name="states")


def _app(core: Core) -> Any:
    return create_app(core.metrics, lambda: status_of(core), lambda: core.log.newest(NEWEST_SHOWN))


def status_of(core: Core) -> Status:
    """Return what is true now, and what is missing for the service to be ready."""
    sources = [
        SourceStatus(
            name=health.name,
            url=core.settings.api_url,
            mode=health.mode,
            connected=health.connected,
            caught_up=health.caught_up,
            problem=health.problem,
            watermark=health.watermark,
        )
        for health in core.health.values()
    ]
    missing = [f"source {each.name}: {each.missing}" for each in core.health.values() if each.missing]
    behind = [SinkStatus(each.name, each.acked, each.lag()) for each in core.deliveries]
    return Status(__version__, sources, behind, core.log.head, missing or ([] if sources else ["no source yet"]))


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


async def _compact(core: Core) -> None:
    while True:
        await asyncio.sleep(COMPACT_EVERY_SECONDS)
        await core.store.compact()


def _listen(settings: Settings) -> socket.socket:
    host, port = settings.listen_address
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except OSError as error:
        hint = "another service may be there: choose another with --listen HOST:PORT"
        raise ConfigError(f"cannot listen on {settings.listen}: {error.strerror}", hint) from error


class _Server(uvicorn.Server):
    """Uvicorn, but signals are ours."""

    def capture_signals(self) -> Any:
        return nullcontext()


@asynccontextmanager
async def _serving(app: Any, listener: socket.socket) -> AsyncIterator[None]:
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1)
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="web")
    try:
        yield
    finally:
        server.should_exit = True
        await serving


async def run_until_signalled(service: Service) -> None:
    """Run the service; SIGINT and SIGTERM stop it."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, service.stop)
    try:
        await service.run()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
