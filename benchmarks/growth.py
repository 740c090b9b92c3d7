"""What becomes slower as the store grows: 10,000 runs, then ten times as many, and again if as many are asked for.

`python -m benchmarks.growth 1000000` goes up to a million. Each time the service starts on a copy of such a store, as
if it had been stopped a moment ago, with a server that knows the same unfinished runs; it is asked, and then flooded.
"""

import asyncio
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import httpx

from benchmarks import big_store
from benchmarks.figure import Figure
from benchmarks.frame_server import FrameServer, frame_server
from benchmarks.lines import lines_of
from benchmarks.process import resident_megabytes
from streamer.store.connection import connect
from streamer.store.sqlite import SqliteStore
from streamer.timestamps import to_micros
from tests.running import RunningService

SMALLEST, TIMES_AS_MANY = 10_000, 10
A_MILLION = 1_000_000
STARTS, QUESTIONS = 3, 20
WARM_UP, EVENTS = 1_000, 10_000
PATIENCE_SECONDS = 120

START, EVENT, MEMORY = "start", "time for an event", "resident memory after a flood"
ASKED = {
    "scrape": "/metrics",
    "newest runs of a flow": f"/api/runs?flows={big_store.FLOWS[0]}",
    "newest runs with a tag": f"/api/runs?tags={big_store.COMMON_TAG}",
}
UNITS = {START: "s", EVENT: "µs", MEMORY: "MB", **dict.fromkeys(ASKED, "ms")}

KEEP = {"STREAMER_RETENTION__RECORDS": "3650d", "STREAMER_RETENTION__RUNS": "3650d"}
"""The runs of the store are of any age: none is too old."""

Measured = Mapping[str, float]


def measure(runs: int = big_store.USUAL) -> list[Figure]:
    """Return what is measured at each size, and the ratio of the largest to the smallest."""
    if sys.platform != "linux":
        return []
    sizes = [SMALLEST]
    while sizes[-1] * TIMES_AS_MANY <= runs:
        sizes.append(sizes[-1] * TIMES_AS_MANY)
    curve = {size: _medians([_once(big_store.kept(size)) for _ in range(STARTS)]) for size in sizes}
    return [figure for what in UNITS for figure in _figures(what, curve)]


def _figures(what: str, curve: Mapping[int, Measured]) -> list[Figure]:
    first, last = min(curve), max(curve)
    goals = {(START, A_MILLION): 3}
    return [
        *(
            Figure(f"{what}, {size:,} runs", at[what], UNITS[what], goals.get((what, size)))
            for size, at in curve.items()
        ),
        Figure(f"{what}, {last:,} runs to {first:,}", curve[last][what] / curve[first][what], "x", goal=1.5),
    ]


def _medians(measured: Sequence[Measured]) -> Measured:
    return {what: median(each[what] for each in measured) for what in UNITS}


def _once(kept: Path) -> Measured:
    with TemporaryDirectory(dir=kept.parent) as folder, frame_server() as server:
        store = Path(shutil.copyfile(kept, Path(folder) / "store.db"))
        _hand_over(store, server)
        service = RunningService(Path(folder), server.api_url, STREAMER_STORE=f"sqlite:///{store}", **KEEP)
        begun = time.monotonic()
        service.start()
        try:
            started = time.monotonic() - begun
            asked = {what: _asked(service.address + path) for what, path in ASKED.items()}
            each = _flooded(service, server)
            assert service.process
            return {START: started, **asked, EVENT: each, MEMORY: resident_megabytes(service.process.pid)}
        finally:
            service.stop()


def _hand_over(store: Path, server: FrameServer) -> None:
    """Make the server the store's source, all of which was there until now, and let it know the unfinished runs."""
    with closing(connect(store)) as connection:
        now = to_micros(datetime.now(UTC))
        connection.execute("UPDATE sources SET identity = ?, watermark = ?", (server.api_url, now))
    server.know(asyncio.run(_told_of_unfinished(store)))


async def _told_of_unfinished(store: Path) -> list[bytes]:
    """Return the JSON of the events of runs that have not ended."""
    reading = SqliteStore.open_read_only(store)
    try:
        return [record.event.raw for run in await reading.unfinished_runs() for record in await reading.history(run.id)]
    finally:
        await reading.close()


def _asked(url: str) -> float:
    """Return the median in milliseconds."""
    took = []
    with httpx.Client(trust_env=False) as http:
        http.get(url)
        for _ in range(QUESTIONS):
            begun = time.perf_counter()
            http.get(url).raise_for_status()
            took.append((time.perf_counter() - begun) * 1e3)
    return median(took)


def _flooded(service: RunningService, server: FrameServer) -> float:
    """Return microseconds an event, from the socket to the jsonl line."""
    with lines_of(service) as lines:
        for number in (WARM_UP, EVENTS):
            server.make(number)
            begun = server.send()
            taken = lines.wait_for(number, PATIENCE_SECONDS) - begun
    return taken / EVENTS * 1e6


if __name__ == "__main__":
    for figure in measure(*map(int, sys.argv[1:])):
        print(figure.what, figure.shown, figure.goal_shown, figure.verdict, sep="  ")
