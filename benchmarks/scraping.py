"""How long a scrape of 10,000 series takes, and by how much it holds up ingestion."""

import asyncio
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import anyio.to_thread
import orjson

from benchmarks.figure import Figure
from schemas import Event, decode
from streamer.clock import SystemClock
from streamer.counting import USUAL_TRANSITIONS
from streamer.instruments import Instruments
from streamer.interpreter import SWITCH_SECONDS
from streamer.metrics.counters import Metrics
from streamer.model import Counter, Family, Net, Totals
from streamer.store.sqlite import SqliteStore
from streamer.testing import an_event

SERIES = 10_000
SCRAPES = 20
APPENDS = 300


async def measure() -> list[Figure]:
    """Return both figures, threads taking turns as in the service."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        return await _measure(_with_series())
    finally:
        sys.setswitchinterval(usual)


async def _measure(metrics: Metrics) -> list[Figure]:
    took = []
    for _ in range(SCRAPES):
        begun = time.perf_counter()
        metrics.exposition("text/plain")
        took.append((time.perf_counter() - begun) * 1000)
    alone, beside = await _appending(None), await _appending(metrics)
    return [
        Figure("scrape of 10,000 series", median(took), "ms", goal=150),
        Figure("append beside scrapes, longer by", beside - alone, "ms", goal=10),
    ]


def _with_series() -> Metrics:
    """Return metrics of so many deployments that there are 10,000 series of all families together."""
    per_deployment = len(USUAL_TRANSITIONS) + 4 + 3
    counts = {
        Counter(Family.TRANSITIONS, "default", "flow", f"deployment {number}", "pool", ("PENDING", "RUNNING")): 1
        for number in range(SERIES // per_deployment)
    }
    names = {each: each for counter in counts for each in counter[2:5]}
    return Metrics(Instruments(), Totals(counts, names), SystemClock())


async def _appending(metrics: Metrics | None) -> float:
    """Return the median time of an append in milliseconds, while scrape follows scrape."""
    stopped = asyncio.Event()
    scraping = asyncio.create_task(_scrape(metrics, stopped))
    with TemporaryDirectory() as folder:
        store = SqliteStore.open(Path(folder) / "store.db")
        await store.open_source("default", identity="benchmark", now=datetime.now(UTC))
        took = [await _append(store, decode(orjson.dumps(an_event()))) for _ in range(APPENDS)]
        await store.close()
    stopped.set()
    await scraping
    return median(took)


async def _append(store: SqliteStore, event: Event) -> float:
    begun = time.perf_counter()
    await store.append("default", [event], net=Net.LIVE)
    return (time.perf_counter() - begun) * 1000


async def _scrape(metrics: Metrics | None, stopped: asyncio.Event) -> None:
    while metrics and not stopped.is_set():
        await anyio.to_thread.run_sync(metrics.exposition, "text/plain")
