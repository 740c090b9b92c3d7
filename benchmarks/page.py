"""The live page under load: 5,000 runs that run, 500 transitions a second, 50 who watch.

How long the browser is busy at a stretch, and how much of the core that ingestion is bound to is taken by those who
watch. Viewers are a process of their own, which reads and throws away; without a `chromium` the browser is left out.
"""

import asyncio
import shutil
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import orjson

from benchmarks.figure import Figure
from streamer import config
from streamer.interpreter import SWITCH_SECONDS
from streamer.model import Frame, Mark, Net
from streamer.service import Service
from streamer.testing import FakePrefect, an_event, until
from streamer.told import status_of
from streamer.web.stream import PATH
from tests.services.browser import CHROMIUM, Browser

RUNS = 5_000
PER_SECOND = 500
LOOKED_AT_SECONDS = 20

VIEWERS = 50
ROUNDS = 5
ROUND_SECONDS = 6.0

LINE_MOST = 1 << 24

_LONG_TASKS = """
(() => {
  window.longTasks = [];
  const note = (list) => window.longTasks.push(...list.getEntries().map((entry) => entry.duration));
  new PerformanceObserver(note).observe({ type: "longtask", buffered: true });
})()
"""


async def measure() -> list[Figure]:
    """Return both figures, threads taking turns as in the service."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        async with _service() as service:
            load = Load(service)
            await load.begin()
            what = f"what {VIEWERS} viewers take of a core at {PER_SECOND} transitions/s"
            figures = [Figure(what, await _cost(service, load), "%", goal=10)]
            if shutil.which(CHROMIUM):
                what = f"longest task of the page at {PER_SECOND} transitions/s"
                figures.append(Figure(what, await _longest_task(service, load), "ms", goal=200))
            return figures
    finally:
        sys.setswitchinterval(usual)


@asynccontextmanager
async def _service() -> AsyncIterator[Service]:
    with TemporaryDirectory() as folder:
        async with FakePrefect() as server, asyncio.TaskGroup() as tasks:
            store = f"sqlite:///{folder}/streamer.db"
            settings = {"api_url": server.api_url, "store": store, "listen": "127.0.0.1:0", "proxy": "none"}
            service = Service(config.only(**settings))
            tasks.create_task(service.run())
            await service.started()
            await until(lambda: status_of(service.core).is_ready)
            yield service
            service.stop()


class Load:
    """Runs of which one ends and another starts, again and again, so that as many run."""

    def __init__(self, service: Service) -> None:
        self._core = service.core
        self._running = [str(uuid4()) for _ in range(RUNS)]

    async def begin(self) -> None:
        """Let all of them run."""
        await self.ingest([_frame(an_event(run=run)) for run in self._running])

    def frames(self, number: int) -> list[Frame]:
        """Return the frames of so many transitions, in pairs: an end and a start."""
        made = []
        for _ in range(number // 2):
            ended, started = self._running.pop(0), str(uuid4())
            self._running.append(started)
            made += [_frame(an_event(run=ended, before="RUNNING", after="COMPLETED")), _frame(an_event(run=started))]
        return made

    async def ingest(self, frames: Sequence[Frame]) -> None:
        """Put frames into the pipeline, and return once all are committed and observed."""
        reached = asyncio.Event()
        for frame in frames:
            await self._core.intake.put(frame)
        await self._core.intake.put(Mark(frames[0].source, reached=reached.set))
        await reached.wait()

    async def keep_up(self, seconds: float) -> None:
        """Go on at a pace for some time."""
        for _ in range(int(seconds * 10)):
            due = time.monotonic() + 0.1
            await self.ingest(self.frames(PER_SECOND // 10))
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def share_of_a_core(self, seconds: float) -> float:
        """Return how much of the processor's time this process takes while it goes on at a pace."""
        begun, used = time.monotonic(), time.process_time()
        await self.keep_up(seconds)
        return (time.process_time() - used) / (time.monotonic() - begun)


def _frame(event: dict[str, Any]) -> Frame:
    return Frame("default", Net.LIVE, orjson.dumps(event))


async def _cost(service: Service, load: Load) -> float:
    """Return what those who watch take of a core, in percent, in the median: ingestion goes on that much slower.

    Only the processor's time is taken: what else there is to do on this machine is no cost of viewers.
    """
    address = await service.started()
    took: dict[bool, list[float]] = {True: [], False: []}
    for number in range(ROUNDS):
        for is_watched in (True, False) if number % 2 else (False, True):
            async with _watching(address) if is_watched else nullcontext():
                took[is_watched].append(await load.share_of_a_core(ROUND_SECONDS))
    return (median(took[True]) - median(took[False])) * 100


@asynccontextmanager
async def _watching(address: str) -> AsyncIterator[None]:
    command = (sys.executable, "-m", "benchmarks.page", address, str(VIEWERS))
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout
    await process.stdout.readline()
    try:
        yield
    finally:
        process.kill()
        await process.wait()


async def _watch(address: str, viewers: int) -> None:
    """Open so many streams, say so once each has begun, and read them for ever."""
    host, port = address.removeprefix("http://").split(":")
    streams = [await asyncio.open_connection(host, int(port), limit=LINE_MOST) for _ in range(viewers)]
    for reader, writer in streams:
        writer.write(f"GET {PATH} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        await reader.readuntil(b"event: standing")
    print("all watch", flush=True)
    await asyncio.gather(*(_read(reader) for reader, _ in streams))


async def _read(reader: asyncio.StreamReader) -> None:
    while await reader.read(1 << 16):
        pass


async def _longest_task(service: Service, load: Load) -> float:
    """Return milliseconds."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder, Browser(Path(folder)) as browser:
        async with browser.tab() as tab:
            keeping_up = asyncio.create_task(load.keep_up(2 * LOOKED_AT_SECONDS))
            await tab.go(await service.started())
            await tab.shows("document.querySelector('.runs li:nth-child(20)')")
            await tab.shows("document.querySelector('.feed-rows li:nth-child(20)')")
            await tab.value(_LONG_TASKS)
            await asyncio.sleep(LOOKED_AT_SECONDS)
            longest: float = await tab.value("Math.max(0, ...window.longTasks)")
            keeping_up.cancel()
            return longest


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(_watch(sys.argv[1], int(sys.argv[2])))
    else:
        for figure in asyncio.run(measure()):
            print(figure.what, figure.shown, figure.goal_shown, figure.verdict, sep="  ")
