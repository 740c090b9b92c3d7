"""The loop around an exporter: at its interval collect, push, and survive whatever comes of it.

Collecting and pushing are done in a thread that holds up neither the event loop nor the end of the process. A push that
is not through in time is given up; the next one begins only when its thread is done.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Protocol

import structlog
from prometheus_client import Counter, Gauge, Metric

from streamer.errors import Reject
from streamer.push.points import Begun, Snapshot, snapshot

PUSH_SECONDS = 30.0
LONGEST_WAIT_SECONDS = 300.0

logger = structlog.get_logger(__name__)


class Exporter(Protocol):
    """What takes snapshots to a destination; its methods may block, and are called one at a time."""

    @property
    def spacing(self) -> float:
        """Return how many seconds must lie between two pushes, however they ended."""
        ...

    def push(self, now: Snapshot, before: Snapshot, /) -> None:
        """Take this there; `before` is what was pushed last, or all there was at the start.

        Raise `Reject` if some of it will never be taken and the rest was; anything else if it is to be tried again.
        """
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


class Result(StrEnum):
    """How a push ended; the `result` label of `prefect_streamer_push_total`."""

    OK = "ok"
    REFUSED = "refused"
    FAILED = "failed"


class Collector(Protocol):
    """What has metrics: a registry, or something in its place."""

    def collect(self) -> Iterable[Metric]:
        """Yield them."""
        ...


@dataclass(frozen=True, slots=True)
class Meters:
    """`attempts` by push and result, and when each push last succeeded, in seconds since 1970."""

    attempts: Counter
    success: Gauge


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All metrics as points: those that are `shown`; `begun` tells when their totals began.

    `kept` has all totals that were there at the start, also those that are not shown at the time.
    """

    shown: Collector
    begun: Begun
    kept: Collector | None = None
    clock: Callable[[], float] = time.time

    def snapshot(self) -> Snapshot:
        """Return what is true now."""
        return snapshot(self.shown.collect(), self.clock(), self.begun)

    def at_start(self) -> Snapshot:
        """Return what is true before anything is counted."""
        now = self.snapshot()
        kept = self.kept.collect() if self.kept else ()
        return now.remembering(snapshot(kept, now.at, self.begun))


class Push:
    """One exporter at its interval, until it is stopped."""

    def __init__(
        self,
        name: str,
        exporter: Exporter,
        catalogue: Catalogue,
        meters: Meters,
        *,
        every: timedelta,
        patience: float = PUSH_SECONDS,
    ) -> None:
        self.name = name
        self._exporter = exporter
        self._catalogue = catalogue
        self._meters = meters
        self._every = every.total_seconds()
        self._patience = patience
        self._before: Snapshot | None = None
        self._pushed = 0.0  # by the monotonic clock
        self._failures = 0
        self._trouble = False
        self._working: Future[None] | None = None
        self._stopping = asyncio.Event()
        for result in Result:
            meters.attempts.labels(name, result)

    async def run(self) -> None:
        """Push at the interval, later while it fails, and once more when stopped; nothing comes out of here."""
        await self._survive(self._begin)
        while not await self._stopped_within(self._wait()):
            await self._turn()
        await self._turn()
        await self._survive(self._exporter.close)

    def stop(self) -> None:
        """Ask for the last push, and the end."""
        self._stopping.set()

    async def _stopped_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
        return self._stopping.is_set()

    def _wait(self) -> float:
        return min(self._every * 2.0 ** min(self._failures, 20), max(self._every, LONGEST_WAIT_SECONDS))

    def _begin(self) -> None:
        self._before = self._catalogue.at_start()

    def _push(self) -> None:
        now = self._catalogue.snapshot()
        before = self._before or now
        try:
            self._exporter.push(now, before)
        except Reject:
            self._before = now.remembering(before)
            raise
        self._before = now.remembering(before)

    async def _turn(self) -> None:
        await asyncio.sleep(self._pushed + self._exporter.spacing - time.monotonic())
        error = await self._survive(self._push)
        self._pushed = time.monotonic()
        result = Result.OK if error is None else Result.REFUSED if isinstance(error, Reject) else Result.FAILED
        self._failures = self._failures + 1 if result is Result.FAILED else 0
        self._meters.attempts.labels(self.name, result).inc()
        if error is None:
            self._meters.success.labels(self.name).set(time.time())
        self._tell(error)

    def _tell(self, error: Exception | None) -> None:
        """Say so when it begins to fail and when it works again, not each time."""
        if error and not self._trouble:
            logger.warning("a push fails, retrying", push=self.name, error=f"{type(error).__name__}: {error}")
        elif self._trouble and error is None:
            logger.info("a push works again", push=self.name)
        self._trouble = error is not None

    async def _survive(self, work: Callable[[], None]) -> Exception | None:
        """Do this in a thread, in time; return what came of it, if it was not done."""
        if self._working and not self._working.done():
            return TimeoutError("the one before still hangs")
        self._working = _in_thread(work, f"push {self.name}")
        try:
            async with asyncio.timeout(self._patience):
                await asyncio.shield(asyncio.wrap_future(self._working))
        except TimeoutError as error:
            return error if str(error) else TimeoutError(f"it took longer than {self._patience:g} s")
        except Exception as error:  # noqa: BLE001 - the destination may do what it likes
            return error
        return None


def _in_thread(work: Callable[[], None], name: str) -> Future[None]:
    future: Future[None] = Future()

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - it is raised where somebody waits for it
            future.set_exception(error)
        else:
            future.set_result(None)

    future.set_running_or_notify_cancel()
    threading.Thread(target=run, name=name, daemon=True).start()
    return future


@asynccontextmanager
async def pushing(pushes: Sequence[Push], *, grace: timedelta) -> AsyncIterator[None]:
    """Push in the background, and at the end a last time, as long as the grace allows."""
    running = [asyncio.create_task(push.run(), name=f"push {push.name}") for push in pushes]
    try:
        yield
    finally:
        for push in pushes:
            push.stop()
        if running:
            _, late = await asyncio.wait(running, timeout=grace.total_seconds())
            for task in late:
                task.cancel()
