"""How long questions to a large store take, and what it costs appends that they can be asked.

`python -m benchmarks.inspection 1000000` asks a store of a million runs.
"""

import asyncio
import os
import shutil
import sys
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks import big_store
from benchmarks.figure import Figure
from schemas import StateType, decode
from streamer.model import Net
from streamer.questions import FlowQuery, Inspection, Order, RunQuery, pages
from streamer.store.connection import connect
from streamer.store.sqlite import SqliteStore

Ask = Callable[[], Awaitable[object]]

RUNS = 100_000
"""A tenth of what is promised, so that `make bench` does not take long."""

TIMES = 20
ITERATED, MEMORY_OF = 100_000, 20_000
PAGE = 1_000
BATCH, BATCHES, WARM_UP = 512, 70, 10

AFTER = 10_000_000
"""The number of the first run that is appended: it is newer than all that are there."""

INDEXES = (
    *("runs_seen", "runs_started", "runs_moved", "runs_named", "runs_of_task_run", "names_by_name"),
    *("runs_of_flow", "runs_of_deployment", "runs_of_work_pool", "runs_of_state", "ends_of_flow"),
)
TRIGGERS = ("run_tags_change", "run_tags_go")


async def measure(runs: int = RUNS) -> list[Figure]:
    """Return how long questions take, and by how much longer appends take since they can be asked."""
    path, of = big_store.kept(runs), f"of {runs:,} runs"
    store = SqliteStore.open_read_only(path)
    try:
        questions = _questions(store.inspection, _name_of_a_run(path))
        times = [Figure(f"{what}, {of}", await _median(ask), "ms", goal) for what, ask, goal in questions]
        number, seconds = await _gone_through(store.inspection, ITERATED)
        memory = await _memory_of_going_through(store.inspection)
    finally:
        await store.close()
    return [
        *times,
        Figure(f"go through {number:,} {of}", seconds, "s", goal=10),
        Figure(f"memory of going through {MEMORY_OF:,}, {of}", memory, "MB", goal=10),
        Figure(
            f"append to {runs:,} runs, longer by the indexes for questions", await _cost_of_indexes(path), "%", goal=10
        ),
    ]


def _questions(inspection: Inspection, name: str) -> Sequence[tuple[str, Ask, float | None]]:
    success = RunQuery(flows=big_store.NEVER_WELL, states=(StateType.COMPLETED,), order=Order.ENDED, limit=1)
    tags = big_store.COMMON_TAG, "team:7"
    return [
        ("latest successful run of a flow that fails", lambda: inspection.runs(success), 20),
        ("page of runs with two common tags", lambda: inspection.runs(RunQuery(tags=tags)), 20),
        ("page of runs with a rare tag", lambda: inspection.runs(RunQuery(tags=big_store.RARE_TAG)), 20),
        ("page of crashed runs with a common tag", lambda: inspection.runs(_CRASHED), 20),
        ("runs of a name", lambda: inspection.runs(RunQuery(names=name)), 10),
        ("runs that are running", lambda: inspection.runs(RunQuery(states=StateType.RUNNING)), None),
        ("a flow and how its runs fare", lambda: inspection.flows(FlowQuery(names=big_store.FLOWS[3])), None),
        ("all flows and how their runs fare", lambda: inspection.flows(FlowQuery()), None),
        ("count runs by state", lambda: inspection.count(RunQuery()), None),
    ]


_CRASHED = RunQuery(tags=big_store.COMMON_TAG, states=(StateType.CRASHED,))


def _name_of_a_run(path: Path) -> str:
    with closing(connect(path, read_only=True)) as connection:
        name: str = connection.execute("SELECT name FROM runs LIMIT 1").fetchone()[0]
        return name


async def _median(ask: Ask) -> float:
    """Return milliseconds."""
    took = []
    for _ in range(TIMES):
        begun = time.perf_counter()
        await ask()
        took.append((time.perf_counter() - begun) * 1e3)
    return median(took)


async def _gone_through(inspection: Inspection, most: int) -> tuple[int, float]:
    """Return how many runs, and seconds."""
    begun, number = time.perf_counter(), 0
    async for page in pages(inspection, RunQuery(limit=PAGE)):
        number += len(page.items)
        if number >= most:
            break
    return number, time.perf_counter() - begun


async def _memory_of_going_through(inspection: Inspection) -> float:
    """Return the most megabytes that were in use at once."""
    tracemalloc.start()
    try:
        await _gone_through(inspection, MEMORY_OF)
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


async def _cost_of_indexes(path: Path) -> float:
    """Return by how many percent an append takes longer in the median, to a store that has the indexes.

    Each batch goes to it and to one without them, in turns, and only the processor's time is taken: the disk's differs
    by more than this from one time to the next.
    """
    with TemporaryDirectory(dir=path.parent) as folder:
        paths = [Path(folder) / name for name in ("with.db", "without.db")]
        for each in paths:
            shutil.copyfile(path, each)
        _drop_indexes(paths[1])
        os.sync()
        with_them, without = stores = [SqliteStore.open(each) for each in paths]
        ratios = []
        for number, batch in enumerate(_batches()):
            first, second = stores if number % 2 else reversed(stores)
            took = {first: await _append(first, batch), second: await _append(second, batch)}
            ratios.append(took[with_them] / took[without])
        for store in stores:
            await store.close()
    return (median(ratios[WARM_UP:]) - 1) * 100


async def _append(store: SqliteStore, frames: Sequence[bytes]) -> float:
    """Return seconds; the events are new ones each time, since they remember what was asked of them."""
    batch = [decode(frame) for frame in frames]
    begun = time.process_time()
    await store.append("default", batch, net=Net.LIVE)
    return time.process_time() - begun


def _drop_indexes(path: Path) -> None:
    with closing(connect(path)) as connection:
        for trigger in TRIGGERS:
            connection.execute(f"DROP TRIGGER {trigger}")
        for index in INDEXES:
            connection.execute(f"DROP INDEX {index}")


def _batches() -> list[list[bytes]]:
    """Return the frames of new events as they come: the transitions of many runs at once, in order."""
    random, made = Random(1), list[big_store.Moved]()
    for number in range(BATCH * BATCHES // 5):
        made += big_store.a_run(AFTER + number, random, has_ended=True)[1]
    frames = [each.raw for each in sorted(made, key=lambda each: each.occurred)]
    return [frames[start : start + BATCH] for start in range(0, len(frames), BATCH)]


async def _main() -> None:
    for figure in await measure(int(sys.argv[1]) if len(sys.argv) > 1 else RUNS):
        print(figure.what, figure.shown, figure.goal_shown, figure.verdict, sep="  ")


if __name__ == "__main__":
    asyncio.run(_main())
