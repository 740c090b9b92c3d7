"""Real flows in processes of their own: one is killed, its sister lives."""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from streamer.demo import server as servers
from streamer.demo.server import PrefectServer
from streamer.sinks.lines_file import whole_lines
from tests import patient
from tests.running import RunningService, running

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(400)]

BEATS_EVERY = 30.0
SILENCE = 40.0
LIMITS = {"factor": 1.1, "minimum": "10s", "slack": "7s", "interval": "30s"}

SLEEPER = """
import time
from prefect import flow

@flow
def sleeper():
    time.sleep(600)

sleeper()
"""


@contextmanager
def sleeping(server: PrefectServer, number: int) -> Iterator[list[Any]]:
    """Run so many flows that do nothing for long, each in a process of its own."""
    server.environment["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] = str(int(BEATS_EVERY))
    processes = [server.spawn_python("-c", SLEEPER) for _ in range(number)]
    try:
        yield processes
    finally:
        for process in processes:
            servers.stop(process, signal.SIGKILL)


def verdicts(service: RunningService) -> list[dict[str, Any]]:
    lines = whole_lines(service.file)
    return [record for record in map(orjson.loads, lines) if record["kind"] == "verdict"]


def running_since(server: PrefectServer) -> dict[str, str]:
    """Return the runs that the server holds to be running, by id, with the process that each belongs to."""
    body = {"flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}}}
    found = patient.post(f"{server.api_url}/flow_runs/filter", json=body).raise_for_status().json()
    return {run["id"]: run["start_time"] for run in found}


def test_killed_run_is_named_in_time_and_once_and_its_living_sister_never(
    tmp_path_factory: pytest.TempPathFactory, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    limits = json.dumps(LIMITS)
    with (
        PrefectServer(tmp_path_factory.mktemp("sleepers")) as prefect,
        running(folder, prefect.api_url, STREAMER_LIVENESS=limits) as service,
        sleeping(prefect, 1) as (doomed,),
    ):
        service.wait_until(lambda: len(running_since(prefect)) == 1)
        (victim,) = running_since(prefect)
        with sleeping(prefect, 1):
            service.wait_until(lambda: service.counted("prefect_flow_run_heartbeats_total") >= 2)
            os.killpg(doomed.pid, signal.SIGKILL)
            killed = time.monotonic()
            service.wait_until(lambda: verdicts(service), seconds=SILENCE + 20)
            taken = time.monotonic() - killed
            (verdict,) = verdicts(service)
            assert (verdict["verdict"]["status"], verdict["flow_run"]["id"]) == ("zombie", victim)
            assert verdict["flow"]["name"] == "sleeper"
            assert taken < SILENCE + 10
            state = {"type": "SCHEDULED", "name": "AwaitingRetry"}
            url = f"{prefect.api_url}/flow_runs/{victim}/set_state"
            patient.post(url, json={"state": state, "force": True}).raise_for_status()
            service.wait_until(lambda: len(verdicts(service)) == 2)
            assert verdicts(service)[1]["verdict"]["status"] == "recovered"
            assert {each["flow_run"]["id"] for each in verdicts(service)} == {victim}
            assert service.counted("prefect_flow_run_zombies_total") == 1
    with capsys.disabled():
        print(f"\nthe zombie was named {taken:.1f} s after its death, {SILENCE:.0f} s of silence being its limit")
