"""What an event costs: validation, and the record handed downstream."""

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import TypeVar

from benchmarks.figure import Figure
from schemas import decode, to_json

T = TypeVar("T")

CAPTURE = Path(__file__).parent.parent / "tests" / "data" / "worker-3.8.8.jsonl"
ROUNDS = 7
REPEATS = 200


def measure() -> list[Figure]:
    """Return microseconds an event, the median of several rounds over a real capture's transitions."""
    frames = [line for line in CAPTURE.read_bytes().splitlines() if b'"validated_state"' in line]
    events = [decode(frame) for frame in frames]
    return [
        Figure("validate an event (real capture, 1.5 kB)", _each(decode, frames), "µs"),
        Figure("write a record as JSON", _each(lambda event: to_json(1, "s", event), events), "µs"),
    ]


def _each(work: Callable[[T], object], items: list[T]) -> float:
    def once() -> float:
        start = time.perf_counter()
        for _ in range(REPEATS):
            for item in items:
                work(item)
        return (time.perf_counter() - start) / (REPEATS * len(items)) * 1e6

    once()
    return median(once() for _ in range(ROUNDS))
