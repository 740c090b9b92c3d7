"""From frame to line: an event leaves a fake server, and is a line in the jsonl file, on the disk.

The service is a process of its own; the file is watched by a thread that asks for its size.
"""

import asyncio
import threading
import time
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

from benchmarks.figure import Figure
from streamer.testing import FakePrefect, an_event, until
from tests.running import RunningService

EVENTS = 400
EVERY_SECONDS = 0.02
WARM_UP = 50


async def measure() -> list[Figure]:
    """Return the median and 99th percentile in milliseconds, at 50 events a second."""
    with TemporaryDirectory() as folder:
        async with FakePrefect() as server:
            service = RunningService(Path(folder), server.api_url)
            await asyncio.to_thread(service.start)
            try:
                taken = await _each_event(server, service.file)
            finally:
                await asyncio.to_thread(service.stop)
    taken = taken[WARM_UP:]
    return [
        Figure("frame to jsonl line, median", median(taken) * 1e3, "ms", goal=10),
        Figure("frame to jsonl line, p99", quantiles(taken, n=100)[98] * 1e3, "ms"),
    ]


async def _each_event(server: FakePrefect, file: Path) -> list[float]:
    await until(lambda: server.subscribers)
    sent: list[float] = []
    seen: list[float] = []
    watching = threading.Thread(target=_watch, args=(file, seen), daemon=True)
    watching.start()
    for _ in range(EVENTS):
        sent.append(time.perf_counter())
        server.publish(an_event(), stored=False)
        await asyncio.sleep(EVERY_SECONDS)
    await asyncio.to_thread(watching.join, 30)
    return [arrived - left for left, arrived in zip(sent, seen, strict=True)]


def _watch(file: Path, seen: list[float]) -> None:
    """Note when each line is there; a look costs microseconds, the pause between two bounds the error."""
    with file.open("rb") as lines:
        while len(seen) < EVENTS:
            if new := lines.read().count(b"\n"):
                seen.extend([time.perf_counter()] * new)
            time.sleep(0.0002)
