"""How fast what was missed is recovered: events of an hour in which the service was down, which only REST has.

The server answers at once: a page is a join of bytes made before (`quick_rest.py`). A bare client reads the same pages
from it first, one after the other as the sweep does, with the same library, and only looks where the next begins: that
is what handing them out takes. The service's time goes from its first request for events to the last jsonl line.
"""

import asyncio
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import orjson

from benchmarks.figure import Figure
from benchmarks.frame_server import FrameServer, frame_server
from benchmarks.lines import lines_of
from streamer.protocol import PAGE_SIZE, Position
from tests.running import RunningService, running

EVENTS = 100_000
DOWN_SECONDS = 3600.0
PATIENCE_SECONDS = 600


def measure(number: int = EVENTS) -> list[Figure]:
    """Return events a second, and the ratio to what the bare client takes."""
    with TemporaryDirectory() as folder, frame_server() as server:
        _run_before(server, Path(folder))
        server.miss(number, DOWN_SECONDS)
        bare = asyncio.run(_read(server.api_url, number))
        server.forget_who_asked()
        taken = _recovered(server, Path(folder), number)
    return [
        Figure(f"events a second, {number:,} missed ones handed out to a client that only pages", number / bare, "/s"),
        Figure(f"events a second, {number:,} missed ones recovered, to the jsonl line", number / taken, "/s"),
        Figure("time to recover, to the time the server needs to hand out", taken / bare, "x", goal=2),
    ]


class _Begun(RunningService):
    """A service that nobody waits for until it is ready: it is once it has caught up, and asking takes a processor."""

    def is_ready(self) -> bool:
        assert self.process
        return self.process.poll() is None


def _run_before(server: FrameServer, folder: Path) -> None:
    """Let a service start for the first time, and stop, when what it will miss has not yet happened."""
    server.set_clock(-DOWN_SECONDS)
    with running(folder, server.api_url) as service:
        service.wait_until(service.file.exists)
        service.stop()
    server.set_clock(0)


async def _read(api_url: str, number: int) -> float:
    """Return seconds; the first page is read twice, so that the connection is there."""
    now = datetime.now(UTC)
    start = Position(now - timedelta(seconds=2 * DOWN_SECONDS), now)
    read, url = 0, f"{api_url}/events/filter"
    async with httpx.AsyncClient(trust_env=False) as client:
        await client.post(url, json=start.body())
        position: Position | None = start
        begun = time.monotonic()
        while position:
            answer = await client.post(url, json=position.body())
            times = [datetime.fromisoformat(each["occurred"]) for each in orjson.loads(answer.content)["events"]]
            read += len(times)
            position = position.advanced(times, full=len(times) >= PAGE_SIZE)
        taken = time.monotonic() - begun
    assert read >= number
    return taken


def _recovered(server: FrameServer, folder: Path, number: int) -> float:
    """Return seconds."""
    service = _Begun(folder, server.api_url)
    with lines_of(service) as lines:
        service.start()
        try:
            return lines.wait_for(number, PATIENCE_SECONDS) - server.first_asked()
        finally:
            service.stop()


if __name__ == "__main__":
    for figure in measure(*map(int, sys.argv[1:])):
        print(figure.what, figure.shown, figure.goal_shown, figure.verdict, sep="  ")
