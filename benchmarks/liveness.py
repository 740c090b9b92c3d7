"""What it costs to know which runs are alive: a heartbeat, a run, and the question which of a million are silent."""

import gc
import time
import tracemalloc
from collections.abc import Iterable
from random import Random
from statistics import median
from uuid import UUID

from benchmarks.figure import Figure
from schemas import StateType
from streamer.liveness import Tracker
from streamer.suspicion import SECOND, USUAL, Move

START = 1_795_000_000 * SECOND
MINUTE = 60 * SECOND
INTERVAL = 30 * SECOND
JITTER = SECOND // 100

RUNS, BEATS = 5_000, 30
ROUNDS = 5

RUNS_WEIGHED, BEATS_WEIGHED = 10_000, 6
"""After so many beats nothing more is remembered of a run."""

RUNS_AT_MOST, SILENT = 1_000_000, 1_000

Beat = tuple[UUID, int, int]


def measure() -> list[Figure]:
    """Return processor time and memory: 2 µs a heartbeat are 500,000 a second."""
    return [
        Figure("take a heartbeat", median(_each_beat() for _ in range(ROUNDS)), "µs", goal=2),
        Figure("follow a run, its id included", _each_run(), "bytes", goal=1_000),
        Figure("find 1,000 silent runs of 1,000,000", _silent(), "ms"),
    ]


def _each_beat() -> float:
    """Return microseconds."""
    tracker, random = Tracker(), Random(0)
    beats = _beats(random, _start(tracker, random, RUNS), BEATS)
    start = time.process_time()
    _take(tracker, beats)
    return (time.process_time() - start) / len(beats) * 1e6


def _each_run() -> float:
    """Return bytes."""
    tracker, random = Tracker(), Random(0)
    tracemalloc.start()
    try:
        runs = _start(tracker, random, RUNS_WEIGHED, states=(StateType.PENDING, StateType.RUNNING))
        _take(tracker, _beats(random, runs, BEATS_WEIGHED))
        del runs
        return tracemalloc.get_traced_memory()[0] / RUNS_WEIGHED
    finally:
        tracemalloc.stop()


def _silent() -> float:
    """Return milliseconds."""
    tracker, random = Tracker(), Random(0)
    gc.disable()  # it would look at a million runs again and again while they start
    try:
        _take(tracker, _beats(random, _start(tracker, random, SILENT), 1))
        _start(tracker, random, RUNS_AT_MOST - SILENT, at=START + MINUTE)
        now = START + 4 * JITTER + (USUAL.silence(None) or 0)
        start = time.process_time()
        found = len(tracker.due(now, most=RUNS_AT_MOST))
        taken = time.process_time() - start
    finally:
        gc.enable()
    assert (found, len(tracker)) == (SILENT, RUNS_AT_MOST)
    return taken * 1e3


def _start(
    tracker: Tracker,
    random: Random,
    number: int,
    *,
    at: int = START,
    states: Iterable[StateType] = (StateType.RUNNING,),
) -> list[UUID]:
    """Let runs of 500 deployments come into these states."""
    names = [(f"d75a{each:032}", f"50ae{each:032}", f"0001{each % 9:032}") for each in range(500)]
    runs = [UUID(int=random.getrandbits(128)) for _ in range(number)]
    for state in states:
        for run in runs:
            moment = at + random.randrange(JITTER)
            tracker.moved(run, Move(moment, state, state.title(), 1, *random.choice(names), ("prod",)))
        at += JITTER
    return runs


def _beats(random: Random, runs: list[UUID], number: int) -> list[Beat]:
    """Return so many heartbeats of each run, sent and delivered with some jitter."""
    first = START + 2 * JITTER
    sent = [(run, first + beat * INTERVAL + random.randrange(JITTER)) for beat in range(number) for run in runs]
    return [(run, occurred, occurred + random.randrange(JITTER)) for run, occurred in sent]


def _take(tracker: Tracker, beats: list[Beat]) -> None:
    for run, occurred, received in beats:
        tracker.beat(run, occurred, received, received)
