"""How long questions to a large store take: those of the store, and those of a client on the same machine.

`python -m benchmarks.inspection 1000000` asks a store of a million runs.
"""

import asyncio
import sys
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from statistics import median

from benchmarks import big_store
from benchmarks.figure import Figure
from schemas import StateType
from streamer.client import Client
from streamer.questions import FlowQuery, Inspection, Order, RunQuery
from streamer.store.connection import connect
from streamer.store.sqlite import SqliteStore

Ask = Callable[[], Awaitable[object]]

TIMES = 20
FIRST_PAGE = 100
ITERATED, MEMORY_OF, TIMES_AS_MANY = 100_000, 5_000, 4


async def measure(runs: int = big_store.USUAL) -> list[Figure]:
    """Return how long questions take."""
    path, of = big_store.kept(runs), f"of {runs:,} runs"
    store = SqliteStore.open_read_only(path)
    try:
        questions = _questions(store.inspection, name_of_a_run(path))
        times = [Figure(f"{what}, {of}", await median_of(ask), "ms", goal) for what, ask, goal in questions]
    finally:
        await store.close()
    return [*times, *await asyncio.to_thread(_at_a_prompt, path, of)]


def _at_a_prompt(path: Path, of: str) -> list[Figure]:
    """Return how long a client takes that looks into the store by itself."""
    with Client(f"sqlite:///{path}", namespace=None) as client:
        unwell, usual = client.flow(big_store.NEVER_WELL), client.flow(big_store.FLOWS[0])
        successful = _median_here(lambda: unwell.latest_successful_run)
        tagged = _median_here(lambda: list(islice(usual.runs(big_store.COMMON_TAG, "team:7"), FIRST_PAGE)))
        number, seconds = _gone_through(client, ITERATED)
        memory = [_memory_of_going_through(client, many) for many in (MEMORY_OF, MEMORY_OF * TIMES_AS_MANY)]
    return [
        Figure(f"client: latest_successful_run of a flow that fails, {of}", successful, "ms", goal=20),
        Figure(f"client: first page of a flow's runs(tags), {of}", tagged, "ms", goal=20),
        Figure(f"client: go through {number:,} {of}", seconds, "s", goal=10),
        Figure(f"client: memory of going through {TIMES_AS_MANY} times as many", memory[1] / memory[0], "x", goal=1.1),
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


def name_of_a_run(path: Path) -> str:
    """Return a name that a run of a store has."""
    with closing(connect(path, read_only=True)) as connection:
        name: str = connection.execute("SELECT name FROM runs LIMIT 1").fetchone()[0]
        return name


async def median_of(ask: Ask) -> float:
    """Return how many milliseconds it takes to ask."""
    took = []
    for _ in range(TIMES):
        begun = time.perf_counter()
        await ask()
        took.append((time.perf_counter() - begun) * 1e3)
    return median(took)


def _median_here(ask: Callable[[], object]) -> float:
    """Return milliseconds."""
    return median(_seconds(ask) for _ in range(TIMES)) * 1e3


def _seconds(ask: Callable[[], object]) -> float:
    begun = time.perf_counter()
    ask()
    return time.perf_counter() - begun


def _gone_through(client: Client, most: int) -> tuple[int, float]:
    """Return how many runs, and seconds."""
    begun = time.perf_counter()
    number = sum(1 for _ in client.find_runs(limit=most))
    return number, time.perf_counter() - begun


def _memory_of_going_through(client: Client, most: int) -> float:
    """Return the most bytes that were in use at once."""
    tracemalloc.start()
    try:
        _gone_through(client, most)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


async def _main() -> None:
    for figure in await measure(*map(int, sys.argv[1:])):
        print(figure.what, figure.shown, figure.goal_shown, figure.verdict, sep="  ")


if __name__ == "__main__":
    asyncio.run(_main())
