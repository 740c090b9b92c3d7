"""The service: builds everything, runs it in one task group, and stops it in order.

Stopping: the sources first, then what has arrived goes through the pipeline, then the sinks get what there is, within
the grace; then the web server, and last the store.
"""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterable
from contextlib import aclosing
from ipaddress import ip_address

import structlog

from streamer import interpreter
from streamer.answers import app_of, status_of
from streamer.board import Board
from streamer.config import Settings
from streamer.core import Core, open_core
from streamer.dead_man import DeadMan
from streamer.health import SourceHealth
from streamer.ingesting import ingest
from streamer.liveness import Tracker
from streamer.model import Observer
from streamer.push.pushing import pushing
from streamer.pushes import pushes_of
from streamer.reloading import take_over
from streamer.run_server import RunServer
from streamer.serving import listen, serving
from streamer.showing import Showing
from streamer.sink_list import say_which_were_removed
from streamer.upkeep import keep_up
from streamer.watch import Watch

logger = structlog.get_logger(__name__)


class Service:
    """One source, one store, its sinks and its web server."""

    def __init__(
        self,
        settings: Settings,
        *,
        observers: Iterable[Observer] = (),
        read_again: Callable[[], Settings] | None = None,
    ) -> None:
        self._settings = settings
        self._read_again = read_again
        self._reloading = asyncio.Event()
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

    def reload(self) -> None:
        """Ask the service to read its settings again, and to take over sinks and rules."""
        self._reloading.set()

    def stop(self) -> None:
        """Ask the service to end in order; asked again, it ends without grace."""
        if self._stopping.is_set():
            raise SystemExit(1)
        logger.info("stopping; a second signal skips the grace", grace=self._settings.grace.total_seconds())
        self._stopping.set()

    async def run(self) -> None:
        """Run until stopped, or until something cannot be mended: see `errors.py` for what comes out."""
        try:
            with listen(self._settings) as listener:
                await self._run(listener)
        finally:
            self._stopped.set()

    async def _run(self, listener: socket.socket) -> None:
        host, port = listener.getsockname()[:2]
        address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self._settings.access.require_readable()
        async with (
            open_core(self._settings, address=address) as core,
            aclosing(RunServer(core.settings, core.clock, core.instruments)) as server,
        ):
            showing = await Showing.open(core, lambda: status_of(core).missing)
            async with serving(app_of(core, server, showing), listener):
                names = [delivery.name for delivery in core.deliveries]
                logger.info("started", page=address, store=str(core.settings.place), sinks=names)
                _say_who_may_ask(core.settings, host)
                await say_which_were_removed(core)
                async with pushing(await pushes_of(core), grace=self._settings.grace):
                    self._started.set_result((address, core))
                    await self._work(core, showing)
        logger.info("stopped", head=core.log.head)

    async def _work(self, core: Core, showing: Showing) -> None:
        health = core.health[self._settings.source] = SourceHealth(
            self._settings.source, core.instruments, clock=core.clock
        )
        async with asyncio.TaskGroup() as tasks, core.delivering():
            core.store.be_patient(True)
            keeping_up = tasks.create_task(keep_up(core, health), name="upkeep")
            rules, names = self._settings.liveness, core.metrics.names
            tracker = Tracker(lambda move: rules.limits_of(move, names))
            watch = Watch(tracker, health, core.clock, core.instruments)
            board = Board(core, {health.name: tracker})
            showing.follow({health.name: tracker})
            asking = tasks.create_task(board.keep_asking(), name="board")
            observers: list[Observer] = [health, watch, *showing.observers, *self._observers]
            moving = tasks.create_task(core.pipeline(*observers).run(), name="pipeline")
            reloading = tasks.create_task(self._keep_reloading(core), name="reload")
            alerting = tasks.create_task(core.alerting.run(), name="alerts")
            telling = tasks.create_task(showing.stream.run(), name="page")
            ingesting = tasks.create_task(ingest(core, health, watch, board), name="source")
            dead_man = DeadMan(self._settings.dead_man, lambda: status_of(core).missing)
            pinging = tasks.create_task(dead_man.keep_pinging(), name="dead man")
            await self._stopping.wait()
            for task in (ending := (ingesting, keeping_up, asking, reloading, pinging, alerting, telling)):
                task.cancel()
            await asyncio.wait(ending)
            core.intake.close()
            await asyncio.wait([moving], timeout=self._settings.grace.total_seconds())
            core.store.be_patient(False)
            await moving

    async def _keep_reloading(self, core: Core) -> None:
        while True:
            await self._reloading.wait()
            self._reloading.clear()
            if self._read_again:
                core.instruments.reloaded.set(await take_over(core, self._read_again))


def _say_who_may_ask(settings: Settings, host: str) -> None:
    """Log it when others than who is on this machine may ask, and nobody has to prove who they are."""
    if not settings.access.is_wanted and not ip_address(host).is_loopback:
        hint = "set access.token_file, or listen on 127.0.0.1"
        logger.warning("whoever reaches this address may see runs and their logs", listen=settings.listen, hint=hint)


async def run_until_signalled(service: Service) -> None:
    """Run the service, which has this process to itself; SIGINT and SIGTERM stop it, SIGHUP has it read settings."""
    interpreter.prepare()
    loop = asyncio.get_running_loop()
    reactions = {signal.SIGINT: service.stop, signal.SIGTERM: service.stop, signal.SIGHUP: service.reload}
    for number, react in reactions.items():
        loop.add_signal_handler(number, react)
    try:
        await service.run()
    finally:
        for number in reactions:
            loop.remove_signal_handler(number)
