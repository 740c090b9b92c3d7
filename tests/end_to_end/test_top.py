"""`streamer top` beside a real Prefect server: a run begins, beats, and fails, and is seen to."""

import signal
import sys
from pathlib import Path

import pytest

from streamer.demo.server import PrefectServer, stop
from tests.running import isolated, running
from tests.screens import Screen

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(400)]

GATED = """
import sys, time
from pathlib import Path
from prefect import flow

@flow(flow_run_name="watched")
def gated():
    while not Path(sys.argv[1]).exists():
        time.sleep(0.1)
    raise RuntimeError

gated()
"""


def test_a_run_is_seen_to_begin_and_to_fail(prefect: PrefectServer, folder: Path) -> None:
    gate = folder / "open"
    command = [sys.executable, "-m", "streamer", "top", "--service"]
    with (
        running(folder, prefect.api_url) as service,
        Screen([*command, service.address], isolated(folder), columns=140) as screen,
    ):
        screen.wait_for("connected and caught up")
        screen.type("/watched\r")
        screen.wait_for("filter: watched")
        flow = prefect.spawn_python("-c", GATED, str(gate))
        try:
            screen.wait_for("gated / watched", "Running", "Pending → Running")
            screen.wait_until(lambda: any(each in line for line in screen.lines for each in "▁▂▃"))
            gate.touch()
            screen.wait_for("Running → Failed", "Flow run encountered an exception")
            screen.wait_until(lambda: any(words in screen.text for words in ("none is such", "no run is under way")))
        finally:
            stop(flow, signal.SIGKILL)
        screen.type("q")
        assert screen.ended() == 0
