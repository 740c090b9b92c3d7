"""The service: builds everything, runs it in one task group, and stops it in order.

One service leads: it writes the store. Others on the same store stand by, and one of them leads when that one is gone.

Stopping: the sources first, then what has arrived goes through the pipeline, then the sinks get what there is, within
the grace; then the web server, and last the store.
"""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterable
from contextlib import aclosing, closing, suppress
from functools import partial
from ipaddress import ip_address

import structlog

from streamer import interpreter
from streamer.answers import app_of
from streamer.board import Board
from streamer.config import Settings
from streamer.core import Core, open_core, open_store
from streamer.dead_man import DeadMan
from streamer.errors import LeaseError
from streamer.front import Front
from streamer.ingesting import ingest, subscriptions
from streamer.model import Observer
from streamer.push.pushing import pushing
from streamer.pushes import pushes_of
from streamer.reloading import take_over
from streamer.run_server import RunServer
from streamer.serving import listen, serving
from streamer.showing import Showing
from streamer.sink_list import say_which_were_removed
from streamer.standing_by import Passing, standing_by
from streamer.store.sql import SqlStore
from streamer.told import Told, told_by
from streamer.upkeep import keep_up

VACANT_SECONDS = 0.5
"""So often who stands by looks whether the store has a writer."""

logger = structlog.get_logger(__name__)


class Service:
    """Sources, one store, its sinks and its web server."""

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
        self._started: asyncio.Future[str] = asyncio.Future()
        self._core: Core | None = None
        self._stopping = asyncio.Event()
        self._stopped = asyncio.Event()

    async def started(self) -> str:
        """Return the address of page, metrics and health, once the service listens there."""
        return await self._started

    async def stopped(self) -> None:
        """Return when the service has ended."""
        await self._stopped.wait()

    @property
    def core(self) -> Core:
        """Return store, log and metrics of the service, which has come to lead."""
        if self._core is None:
            raise RuntimeError("the service does not lead yet")
        return self._core

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
        _say_who_may_ask(self._settings, host)
        front = Front()
        async with serving(front, listener):
            with closing(front):
                await self._lead_or_stand_by(front, address)

    async def _lead_or_stand_by(self, front: Front, address: str) -> None:
        while store := await self._store(front, address):
            try:
                await self._lead(store, front, address)
                break
            except* LeaseError as lost:
                logger.warning("standing down", because=str(_first(lost)))
        logger.info("stopped")

    async def _store(self, front: Front, address: str) -> SqlStore | None:
        """Return the store once it is ours to write, and stand by until then; return None if we are to stop."""
        take_it = partial(open_store, self._settings, address=address, waits=False)
        try:
            return take_it()
        except LeaseError as error:
            logger.info("standing by", page=address, because=str(error))
        async with standing_by(self._settings, front):
            self._begun(address)
            looking = Passing("look who leads")
            while not await _is_set(self._stopping, VACANT_SECONDS):
                with suppress(LeaseError), looking.let():
                    return await asyncio.to_thread(take_it)
        return None

    async def _lead(self, store: SqlStore, front: Front, address: str) -> None:
        async with (
            open_core(self._settings, store) as core,
            aclosing(RunServer(core.settings, core.store.run, core.instruments)) as server,
        ):
            told = told_by(core)
            showing = await Showing.open(core, told)
            async with front.showing(app_of(core, told, server, showing)):
                names = [delivery.name for delivery in core.deliveries]
                logger.info("started", page=address, store=str(core.settings.place), sinks=names)
                await say_which_were_removed(core)
                async with pushing(await pushes_of(core), grace=self._settings.grace):
                    self._core = core
                    self._begun(address)
                    await self._work(core, told, showing)

    def _begun(self, address: str) -> None:
        if not self._started.done():
            self._started.set_result(address)

    async def _work(self, core: Core, told: Told, showing: Showing) -> None:
        sources = subscriptions(core)
        core.health.update({each.health.name: each.health for each in sources})
        trackers = {each.health.name: each.watch.tracker for each in sources}
        async with asyncio.TaskGroup() as tasks, core.delivering():
            core.store.be_patient(True)
            board = Board(core, trackers)
            showing.follow(trackers)
            dead_man = DeadMan(self._settings.dead_man, lambda: told.status().missing)
            watching = [each for source in sources for each in (source.health, source.watch)]
            observers: list[Observer] = [*watching, *showing.observers, *self._observers]
            moving = tasks.create_task(core.pipeline(*observers).run(), name="pipeline")
            ending = [
                tasks.create_task(core.store.hold(), name="lease"),
                tasks.create_task(keep_up(core), name="upkeep"),
                tasks.create_task(board.keep_asking(), name="board"),
                tasks.create_task(self._keep_reloading(core), name="reload"),
                tasks.create_task(core.alerting.run(), name="alerts"),
                tasks.create_task(showing.stream.run(), name="page"),
                tasks.create_task(dead_man.keep_pinging(), name="dead man"),
                *(tasks.create_task(ingest(core, each, board), name=each.health.name) for each in sources),
            ]
            await self._stopping.wait()
            for task in ending:
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


def _first(error: BaseException) -> BaseException:
    """Return the first of the errors in a group, however deep."""
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


async def _is_set(event: asyncio.Event, seconds: float) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()


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
