"""The service: builds everything, runs it in one task group, and stops it in order.

Stopping: the sources first, then what has arrived goes through the pipeline, then the sinks get what there is, within
the grace; then the web server, and last the store.
"""

import asyncio
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager, nullcontext
from datetime import timedelta
from functools import partial
from ipaddress import ip_address
from typing import Any

import structlog
import uvicorn

from streamer import __version__, alert_list
from streamer.alerts.reader import never_yet
from streamer.board import Board
from streamer.config import Settings
from streamer.core import Core, open_core
from streamer.dead_man import DeadMan
from streamer.deliveries import sinks_of
from streamer.errors import ConfigError
from streamer.health import SourceHealth
from streamer.ingesting import ingest
from streamer.liveness import Tracker
from streamer.model import Observer, RunState
from streamer.operating import commands
from streamer.push.pushing import pushing
from streamer.pushes import pushes_of
from streamer.reports import Bucket, span_until
from streamer.run_server import RunServer
from streamer.sink_list import running_sinks, say_which_were_removed
from streamer.upkeep import keep_up
from streamer.watch import Watch
from streamer.web import control, openapi, operations, runs
from streamer.web.app import SinkStatus, SourceStatus, Status, create_app
from streamer.web.endpoints import routes
from streamer.web.guard import Guard, middleware

NEWEST_SHOWN = 25
ZOMBIES_SHOWN = 1_000
SWITCH_SECONDS = 0.0001
"""How long a thread may keep the interpreter from the others: with Python's 5 ms, a scrape holds up an append by 80."""

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
            with _listen(self._settings) as listener:
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
            _serving(_app(core, server), listener),
        ):
            names = [delivery.name for delivery in core.deliveries]
            logger.info("started", page=address, store=str(core.store.path), sinks=names)
            _say_who_may_ask(core.settings, host)
            await say_which_were_removed(core)
            async with pushing(await pushes_of(core), grace=self._settings.grace):
                self._started.set_result((address, core))
                await self._work(core)
        logger.info("stopped", head=core.log.head)

    async def _work(self, core: Core) -> None:
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
            asking = tasks.create_task(board.keep_asking(), name="board")
            observers: list[Observer] = [health, watch, *self._observers]
            moving = tasks.create_task(core.pipeline(*observers).run(), name="pipeline")
            reloading = tasks.create_task(self._keep_reloading(core), name="reload")
            alerting = tasks.create_task(core.alerting.run(), name="alerts")
            ingesting = tasks.create_task(ingest(core, health, watch, board), name="source")
            dead_man = DeadMan(self._settings.dead_man, lambda: status_of(core).missing)
            pinging = tasks.create_task(dead_man.keep_pinging(), name="dead man")
            await self._stopping.wait()
            for task in (ending := (ingesting, keeping_up, asking, reloading, pinging, alerting)):
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
                core.instruments.reloaded.set(await _reload(core, self._read_again))


async def _reload(core: Core, read_again: Callable[[], Settings]) -> bool:
    """Take over the sinks and rules as the settings have them now; tell whether that could be done."""
    try:
        settings = read_again()
        await core.sinks.change(sinks_of(settings), settings.routes)
        await core.alerting.change(settings.alerts)
    except ConfigError as error:
        logger.error("the configuration is refused, and the one before stays", error=str(error), hint=error.hint)  # noqa: TRY400 - it is a sentence, not a fault of ours
        return False
    core.metrics.begin_at_0(never_yet(settings.alerts, core.settings.source))
    names = [delivery.name for delivery in core.deliveries]
    logger.info("the configuration was read again", sinks=names, alerts=list(settings.alerts))
    await say_which_were_removed(core)
    if waiting := [name for name in Settings.model_fields if _differs(name, settings, core.settings)]:
        logger.warning("some settings take effect at the next start only", settings=waiting)
    return True


def _differs(name: str, settings: Settings, before: Settings) -> bool:
    return name not in ("sinks", "sink", "routes", "alerts") and getattr(settings, name) != getattr(before, name)


def _app(core: Core, server: RunServer) -> Any:
    access = core.settings.access
    guard = Guard(lambda: [core.store.token.encode(), *access.tokens()], access.basics, wanted=access.is_wanted)
    questions = [*runs.endpoints(_about_runs(core, server)), *operations.endpoints(_about_operations(core))]
    return create_app(
        core.metrics,
        partial(status_of, core),
        partial(core.log.newest, NEWEST_SHOWN),
        [*control.routes(guard, commands(core)), *routes(questions), openapi.route(questions)],
        firing=partial(alert_list.running_alerts, core),
        middleware=middleware(guard, access.cors),
    )


def _about_runs(core: Core, server: RunServer) -> runs.RunsAsked:
    return runs.RunsAsked(
        inspection=core.store.inspection,
        store=core.store,
        server=server,
        zombies=partial(_zombies, core),
        names=lambda: core.metrics.names,
        pages=core.settings.surroundings.ui,
        now=core.clock.now,
    )


def _about_operations(core: Core) -> operations.OperationsAsked:
    return operations.OperationsAsked(
        history=partial(_history, core),
        letters=core.store,
        sinks=partial(running_sinks, core),
        alerts=partial(_alerts, core),
        silences=partial(_silences, core),
    )


async def _zombies(core: Core) -> list[RunState]:
    """Return the runs that a verdict stands of."""
    return await core.store.find_runs(judged=True, limit=ZOMBIES_SHOWN)


async def _alerts(core: Core) -> list[alert_list.ListedAlert]:
    return alert_list.running_alerts(core)


async def _silences(core: Core) -> list[dict[str, Any]]:
    return [each.as_json() for each in await alert_list.silences(core.store, now=core.clock.now())]


async def _history(core: Core, *, since: timedelta, interval: timedelta, flows: Sequence[str]) -> list[Bucket]:
    """Return how many runs were due in each interval up to now, by state."""
    now = core.clock.now()
    return await core.store.run_history(span_until(now, since=since, interval=interval, flows=flows), now=now)


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
    missing += [core.store.trouble] if core.store.trouble else []
    behind = [SinkStatus(each.name, each.acked, each.lag()) for each in core.deliveries]
    return Status(__version__, sources, behind, core.log.head, missing or ([] if sources else ["no source yet"]))


def _say_who_may_ask(settings: Settings, host: str) -> None:
    """Log it when others than who is on this machine may ask, and nobody has to prove who they are."""
    if not settings.access.is_wanted and not ip_address(host).is_loopback:
        hint = "set access.token_file, or listen on 127.0.0.1"
        logger.warning("whoever reaches this address may see runs and their logs", listen=settings.listen, hint=hint)


def _listen(settings: Settings) -> socket.socket:
    host, port = settings.listen_address
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        hint = "another service may be there: choose another with --listen HOST:PORT"
        raise ConfigError(f"cannot listen on {settings.listen}: {error.strerror}", hint) from error
    # asyncio does this for sockets of its own making; without it each answer waits 40 ms for the client's ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


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
    """Run the service, which has this process to itself; SIGINT and SIGTERM stop it, SIGHUP has it read settings."""
    sys.setswitchinterval(SWITCH_SECONDS)
    loop = asyncio.get_running_loop()
    reactions = {signal.SIGINT: service.stop, signal.SIGTERM: service.stop, signal.SIGHUP: service.reload}
    for number, react in reactions.items():
        loop.add_signal_handler(number, react)
    try:
        await service.run()
    finally:
        for number in reactions:
            loop.remove_signal_handler(number)
