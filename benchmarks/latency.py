"""From frame to line: an event leaves a server, and is a line in the jsonl file of the service.

Server and service are processes of their own; times are matched by the events' ids. The sink acknowledges a line once
the disk has it, which nobody sees from outside: what its writes take, the last one's sync included, is told besides.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

import httpx
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.figure import Figure
from benchmarks.frame_server import FrameServer, frame_server
from benchmarks.lines import Lines, lines_of
from tests.running import RunningService, running

LOOK_EVERY_SECONDS = 0.0002
WARM_UP_SECONDS = 12
"""Longer than the 10 s after which a new connection has the newest events read again."""

PATIENCE_SECONDS = 60
WRITE = "prefect_streamer_sink_write_duration_seconds"


@dataclass(frozen=True, slots=True)
class Pace:
    """So many events a second, for so long, and what median and 99th percentile may be at most, in milliseconds."""

    per_second: int
    seconds: int
    goals: tuple[float, float] | tuple[None, None] = (None, None)


PACES = Pace(200, 20, goals=(3, 15)), Pace(2_000, 20)


def measure() -> list[Figure]:
    """Return median and 99th percentile in milliseconds at each pace, each with a service of its own."""
    return [figure for pace in PACES for figure in _at(pace)]


def _at(pace: Pace) -> list[Figure]:
    with (
        TemporaryDirectory() as folder,
        frame_server() as server,
        running(Path(folder), server.api_url) as service,
        lines_of(service) as lines,
    ):
        _each(server, lines, pace.per_second, WARM_UP_SECONDS)
        before = _writes(service)
        taken = _each(server, lines, pace.per_second, pace.seconds)
        after = _writes(service)
    what, (half, nearly_all) = f"frame to jsonl line at {pace.per_second:,}/s", pace.goals
    return [
        Figure(f"{what}, median", median(taken), "ms", half),
        Figure(f"{what}, p99", quantiles(taken, n=100)[98], "ms", nearly_all),
        Figure(f"{what}: a write with its sync, mean", (after[0] - before[0]) / (after[1] - before[1]) * 1e3, "ms"),
    ]


def _each(server: FrameServer, lines: Lines, per_second: int, seconds: int) -> list[float]:
    """Return how many milliseconds each event took."""
    number = per_second * seconds
    with ThreadPoolExecutor() as watching:
        seen = watching.submit(lines.seen, number, seconds + PATIENCE_SECONDS, LOOK_EVERY_SECONDS)
        sent = server.pace(number, per_second)
    return [(moment - sent[ident]) * 1e3 for ident, moment in seen.result().items()]


def _writes(service: RunningService) -> tuple[float, float]:
    """Return how many seconds the sink's writes took so far, and how many there were."""
    text = httpx.get(f"{service.address}/metrics", trust_env=False).raise_for_status().text
    samples = [each for family in text_string_to_metric_families(text) for each in family.samples]
    seconds, number = (sum(each.value for each in samples if each.name == WRITE + end) for end in ("_sum", "_count"))
    return seconds, number


if __name__ == "__main__":
    for figure in measure():
        print(figure.what, figure.shown, figure.goal_shown, figure.verdict, sep="  ")
