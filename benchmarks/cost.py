"""What the service takes of a machine at 200 events a second, while it keeps watch over 10,000 runs.

It has brought the runs in itself, and was then started anew: what a flood leaves in memory is not meant. It audits what
it has, writes each event to a jsonl file, and is scraped every 15 s as by Prometheus. That all runs are compared with
the server's, every five minutes, is part of it only if there is the time: `python -m benchmarks.cost 300`. Linux only,
since `/proc` tells what a process takes.
"""

import sys
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import httpx

from benchmarks.figure import Figure
from benchmarks.frame_server import FrameServer, frame_server
from benchmarks.lines import Lines, lines_of
from benchmarks.made import STATES
from benchmarks.process import processor_seconds, resident_megabytes
from tests.running import RunningService, running

PER_SECOND = 200
RUNS = 10_000
UNFINISHED = STATES[:-1]

WARM_UP_SECONDS = 25
"""Longer than what follows a start: runs are compared with the server's, the newest events read again after 10 s."""

LINGERS = ("0s", "0.1s")
SECONDS = 60
SCRAPE_SECONDS = 15
PATIENCE_SECONDS = 60


class Cost(NamedTuple):
    """Seconds of the processor and in all, and megabytes."""

    processor: float
    wall: float
    resident: float
    peak: float


def measure(seconds: int = SECONDS) -> list[Figure]:
    """Return the share of a core, and memory, for each time that events may wait for others."""
    if sys.platform != "linux":
        return []
    with TemporaryDirectory() as folder, frame_server() as server:
        with running(Path(folder), server.api_url) as service:
            _bring_in(server, service)
            service.stop()
        return [figure for linger in LINGERS for figure in _figures(Path(folder), server, linger, seconds)]


def _figures(folder: Path, server: FrameServer, linger: str, seconds: int) -> list[Figure]:
    with running(folder, server.api_url, STREAMER_LINGER=linger) as service, lines_of(service) as lines:
        _keep_up(server, lines, service, WARM_UP_SECONDS)
        cost = _keep_up(server, lines, service, seconds)
        service.stop()
    share, what = cost.processor / cost.wall, f"{PER_SECOND} events/s, {RUNS:,} runs under way, linger {linger}"
    return [
        Figure(f"share of a core, {what}", share * 100, "%", goal=3),
        Figure(f"processor, {what}", share * 3600, "s/h"),
        Figure(f"resident memory, {what}", cost.resident, "MB", goal=120),
        Figure(f"resident memory at its most, {what}", cost.peak, "MB"),
    ]


def _bring_in(server: FrameServer, service: RunningService) -> None:
    """Let runs begin that do not end."""
    events = RUNS * len(UNFINISHED)
    server.make(events, UNFINISHED)
    with lines_of(service) as lines:
        server.send()
        lines.wait_for(events, PATIENCE_SECONDS)


def _keep_up(server: FrameServer, lines: Lines, service: RunningService, seconds: int) -> Cost:
    """Send at the pace, and return what that takes from the first event to the last line."""
    assert service.process
    pid, number = service.process.pid, PER_SECOND * seconds
    used = processor_seconds(pid)
    with ThreadPoolExecutor() as threads:
        sending = threads.submit(server.pace, number, PER_SECOND)
        while wait([sending], SCRAPE_SECONDS).not_done:
            httpx.get(f"{service.address}/metrics", trust_env=False).raise_for_status()
    end, begun = lines.wait_for(number, PATIENCE_SECONDS), min(sending.result().values())
    used = processor_seconds(pid) - used
    return Cost(used, end - begun, resident_megabytes(pid), resident_megabytes(pid, "VmHWM"))


if __name__ == "__main__":
    for figure in measure(*map(int, sys.argv[1:])):
        print(figure.what, figure.shown, figure.goal_shown, figure.verdict, sep="  ")
