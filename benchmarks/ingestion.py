"""What it costs to take events in that runs can be asked for, and that somebody asks meanwhile.

`python -m benchmarks.ingestion 1000000` does so with a store of a million runs. Batches are taken in with and without,
in turns, and the median is told: the machine and the disk differ by more than this from one moment to the next.
"""

import asyncio
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from functools import partial
from multiprocessing import get_context
from multiprocessing.synchronize import Event, Lock
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks import big_store
from benchmarks.figure import Figure
from schemas import decode
from streamer.client import Client
from streamer.model import Net
from streamer.store.connection import connect
from streamer.store.sqlite import SqliteStore

BATCH, PAIRS, WARM_UP = 512, 60, 10
PAIR_SECONDS = 0.1
"""Between two questions and the next two."""

AFTER = 10_000_000
"""The number of the first run that comes in: it is newer than all that are there."""

INDEXES = (
    *("runs_seen", "runs_started", "runs_moved", "runs_named", "runs_of_task_run", "names_by_name"),
    *("runs_of_flow", "runs_of_deployment", "runs_of_work_pool", "runs_of_state", "ends_of_flow"),
)
"""What only questions about runs need, and the table of tags besides."""

NO_TAGS = """
    DROP TABLE run_tags;
    CREATE TABLE run_tags (tag, seen_at, run);
    CREATE TRIGGER no_tags BEFORE INSERT ON run_tags BEGIN SELECT RAISE(IGNORE); END;
"""


class Taken(NamedTuple):
    """Seconds that a batch took, of the processor and in all, from frames to the commit."""

    processor: float
    wall: float


async def measure(runs: int = big_store.USUAL) -> list[Figure]:
    """Return by how many percent batches take longer, in the median."""
    usual = big_store.kept(runs)
    return [
        *await _cost_of_indexes(big_store.kept(0), "an empty store"),
        *await _cost_of_indexes(usual, f"{runs:,} runs"),
        *await _cost_of_questions(usual, f"{runs:,} runs"),
    ]


async def _cost_of_indexes(path: Path, to: str) -> list[Figure]:
    """Return what it costs that a store has the indexes: each batch goes to it and to one without them."""
    with TemporaryDirectory(dir=path.parent) as folder:
        paths = [Path(shutil.copyfile(path, Path(folder) / name)) for name in ("with.db", "without.db")]
        _drop_indexes(paths[1])
        os.sync()
        with_them, without = stores = [SqliteStore.open(each) for each in paths]
        pairs = []
        for number, frames in enumerate(_batches(PAIRS)):
            first, second = stores if number % 2 else reversed(stores)
            took = {first: await _take_in(first, frames), second: await _take_in(second, frames)}
            pairs.append((took[with_them], took[without]))
        for store in stores:
            await store.close()
    return _longer(f"take in events, {to}, longer by the indexes for questions", pairs)


async def _cost_of_questions(path: Path, to: str) -> list[Figure]:
    """Return what it costs that another process asks twenty questions a second: it does during every other batch."""
    with TemporaryDirectory(dir=path.parent) as folder:
        store = SqliteStore.open(Path(shutil.copyfile(path, Path(folder) / "store.db")))
        pairs = []
        with _asking(store.path) as nobody_asks:
            batches = iter(_batches(2 * PAIRS))
            for number, pair in enumerate(zip(batches, batches, strict=True)):
                during: list[AbstractContextManager[object]] = [nullcontext(), nobody_asks()]
                took = {}
                for place in (0, 1) if number % 2 else (1, 0):
                    with during[place]:
                        took[place] = await _take_in(store, pair[place])
                pairs.append((took[0], took[1]))
        await store.close()
    return _longer(f"take in events, {to}, longer while 20 questions a second are asked", pairs)


def _longer(what: str, pairs: Sequence[tuple[Taken, Taken]]) -> list[Figure]:
    processor, wall = (
        (median(one[place] / other[place] for one, other in pairs[WARM_UP:]) - 1) * 100 for place in (0, 1)
    )
    return [Figure(f"{what}: processor", processor, "%", goal=10), Figure(f"{what}: in all", wall, "%", goal=10)]


async def _take_in(store: SqliteStore, frames: Sequence[bytes]) -> Taken:
    """Do with frames what the pipeline does."""
    processor, wall = time.process_time(), time.perf_counter()
    await store.append("default", [decode(frame) for frame in frames], net=Net.LIVE)
    return Taken(time.process_time() - processor, time.perf_counter() - wall)


def _drop_indexes(path: Path) -> None:
    with closing(connect(path)) as connection:
        connection.executescript("".join(f"DROP INDEX {index};" for index in INDEXES) + NO_TAGS)


def _batches(number: int) -> list[list[bytes]]:
    """Return the frames of new events as they come: the transitions of many runs at once, in order."""
    random, made = Random(1), list[big_store.Moved]()
    for run in range(BATCH * number // 5):
        made += big_store.a_run(AFTER + run, random, has_ended=True)[1]
    frames = [each.raw for each in sorted(made, key=lambda each: each.occurred)]
    return [frames[start : start + BATCH] for start in range(0, len(frames), BATCH)]


@contextmanager
def _asking(path: Path) -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Let another process ask; yield what keeps it from asking for a while."""
    context = get_context("spawn")
    wanted, turn = context.Event(), context.Lock()
    process = context.Process(target=_ask, args=(path, wanted, turn), daemon=True)
    process.start()
    wanted.set()
    try:
        yield partial(_silence, wanted, turn)
        assert process.is_alive()
    finally:
        process.kill()
        process.join()


@contextmanager
def _silence(wanted: Event, turn: Lock) -> Iterator[None]:
    wanted.clear()
    with turn:
        yield
    wanted.set()


def _ask(path: Path, wanted: Event, turn: Lock) -> None:
    with Client(f"sqlite:///{path}", namespace=None) as client:
        flow = client.flow(big_store.NEVER_WELL)
        usual = client.flow(big_store.FLOWS[0])
        while True:
            wanted.wait()
            with turn:
                assert flow.latest_successful_run
                assert next(usual.runs(big_store.COMMON_TAG))
            time.sleep(PAIR_SECONDS)


async def _main() -> None:
    for figure in await measure(*map(int, sys.argv[1:])):
        print(figure.what, figure.shown, figure.goal_shown, figure.verdict, sep="  ")


if __name__ == "__main__":
    asyncio.run(_main())
