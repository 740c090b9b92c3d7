"""What tests do with a store in a process of its own, which they watch by its output and may kill."""

import asyncio
import json
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path
from uuid import UUID, uuid5

import orjson

from schemas import Event, decode
from streamer.errors import StoreError
from streamer.model import Net
from streamer.store.sql import SqlStore
from streamer.store.sqlite import SqliteStore
from streamer.testing import an_event
from streamer.testing.conformance import EPOCH, events
from tests.frames import bare, heartbeat
from tests.store.agreement import EVERYTHING, opened

Process = subprocess.Popen[str]

MOVES = 5
"""Transitions to a batch of `work`; there is one heartbeat besides."""

_NAMESPACE = UUID("00000000-0000-4000-8000-000000000000")
_ROOT = Path(__file__).parents[2]


@contextmanager
def running(function: Callable[[Path], None], path: Path) -> Iterator[Process]:
    """Run a function of this module in another process; kill that at the end, if it still lives."""
    code = f"import sys, pathlib; from {__name__} import {function.__name__} as run; run(pathlib.Path(sys.argv[1]))"
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=_ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


def lines(process: Process) -> Iterator[str]:
    """Yield what the process prints."""
    assert process.stdout is not None
    return map(str.strip, process.stdout)


def hold(path: Path) -> None:
    """Hold the store until killed; say so first."""
    store = SqliteStore.open(path, address="here")
    print("held", store.path, flush=True)
    signal.pause()


def work(batch: int) -> list[Event]:
    """Return the events of a batch, the same each time: transitions of two runs, and a heartbeat."""
    runs = [uuid5(_NAMESPACE, f"run {batch // 8 + number}") for number in range(2)]
    moment = EPOCH + timedelta(seconds=batch)
    moves = [
        an_event(
            run=str(runs[number % 2]),
            before="PENDING" if number else None,
            after="COMPLETED" if number == MOVES - 1 else "RUNNING",
            occurred=moment + timedelta(milliseconds=number),
            id=str(uuid5(_NAMESPACE, f"move {batch} {number}")),
        )
        for number in range(MOVES)
    ]
    beat = heartbeat(runs[0], occurred=moment, id=uuid5(_NAMESPACE, f"beat {batch}"))
    return [*(decode(orjson.dumps(move)) for move in moves), decode(bare(beat))]


def keep_appending(path: Path) -> None:
    """Append batches until killed, the last few known ones again; print how many are on the disk after each."""
    asyncio.run(_keep_appending(path))


async def _keep_appending(path: Path) -> None:
    store = await opened(path)
    known = len(await store.after(0, EVERYTHING)) // MOVES
    for batch in count(max(0, known - 3)):
        await store.append("default", work(batch), net=Net.SWEEP)
        print(batch + 1, flush=True)


def outgrow(path: Path) -> None:
    """Append more than the file may grow by, and again without that limit; print what came of it."""
    asyncio.run(_outgrow(path))


async def _outgrow(path: Path) -> None:
    store, more, told = await opened(path), events(500), []
    await store.append("default", events(10), net=Net.LIVE)
    told.append(len(await store.after(0, EVERYTHING)))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.with_name(path.name + "-wal").stat().st_size + 8192, hard))
    hint = await _refused_append(store, more)
    told.append(len(await store.after(0, EVERYTHING)))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    await store.append("default", more, net=Net.LIVE)
    told.append(len(await store.after(0, EVERYTHING)))
    await store.close()
    print(json.dumps({"hint": hint, "records": told}))


async def _refused_append(store: SqlStore, more: list[Event]) -> str | None:
    try:
        await store.append("default", more, net=Net.LIVE)
    except StoreError as error:
        return error.hint
    return "it was not refused"
