"""Who reads events as fast as a server of its own sends them, turn by turn: the service, and Prefect's subscriber."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from select import select
from tempfile import TemporaryDirectory

from benchmarks.frame_server import FrameServer, frame_server
from benchmarks.lines import lines_of
from tests.running import isolated, running

PATIENCE_SECONDS = 120

Turn = Callable[[int], float]
"""Make and send so many events; return how many seconds they took, from the first byte to the last event."""

_PREFECT = """
import asyncio, sys, time
from prefect.events.clients import PrefectEventSubscriber

async def main():
    async with PrefectEventSubscriber(api_url=sys.argv[1]) as subscriber:
        print("ready", flush=True)
        for number in map(int, sys.stdin):
            for _ in range(number):
                await subscriber.__anext__()
            print(time.monotonic(), flush=True)

asyncio.run(main())
"""


@contextmanager
def streamer_reading() -> Iterator[Turn]:
    """Run the service on a server of its own: nobody has to read what another was sent."""
    with (
        TemporaryDirectory() as folder,
        frame_server() as server,
        running(Path(folder), server.api_url) as service,
        lines_of(service) as lines,
    ):

        def turn(number: int) -> float:
            server.make(number)
            begun = server.send()
            return lines.wait_for(number, PATIENCE_SECONDS) - begun

        yield turn


@contextmanager
def prefect_reading() -> Iterator[Turn]:
    """Run Prefect's subscriber on a server of its own."""
    with (
        TemporaryDirectory() as folder,
        frame_server() as server,
        _subscribed(server, Path(folder)) as process,
    ):

        def turn(number: int) -> float:
            assert process.stdin
            process.stdin.write(f"{number}\n")
            process.stdin.flush()
            server.make(number)
            begun = server.send()
            return float(_line_of(process)) - begun

        yield turn


@contextmanager
def _subscribed(server: FrameServer, folder: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", _PREFECT, server.api_url]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=isolated(folder), stdin=pipe, stdout=pipe, text=True) as process:
        try:
            assert _line_of(process) == "ready\n"
            yield process
        finally:
            process.kill()


def _line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    readable, _, _ = select([process.stdout], [], [], PATIENCE_SECONDS)
    assert readable, "Prefect's subscriber did not get all of them"
    return process.stdout.readline()
