"""Real flows on a real Prefect server: what arrives is what happened, each once, also over a stop."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas import StateType
from streamer.demo import server as servers
from streamer.demo.server import PrefectServer
from streamer.demo.truth import Truth, is_transition
from tests.running import PREFECT_PYTHON, RunningService, isolated, running

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(400)]


@pytest.fixture
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """A server on which nothing has happened yet."""
    settings = {"PREFECT_WORKER_QUERY_SECONDS": "1"}
    with PrefectServer(tmp_path_factory.mktemp("fresh"), settings, python=PREFECT_PYTHON) as server:
        yield server


def agree(service: RunningService, truth: Truth) -> None:
    """Wait until all runs have ended and the server has written all; then hold file and counters to it."""

    def ended() -> bool:
        runs = truth.runs()
        return bool(runs) and all(StateType(run["state_type"]).is_terminal for run in runs)

    service.wait_until(ended)
    service.wait_until(lambda: truth.state_ids() <= set(service.ids()))
    service.wait_until(lambda: {event["id"] for event in truth.events()} == set(service.ids()))
    events = truth.events()
    transitions = [event["id"] for event in events if is_transition(event)]
    assert sorted(service.ids()) == sorted(event["id"] for event in events), "an id is missing, or there twice"
    service.wait_until(lambda: service.counted("prefect_flow_run_transitions_total") == len(transitions))


def test_functions_subflows_and_a_deployment_arrive_also_those_that_ran_while_the_service_was_stopped(
    prefect: PrefectServer, truth: Truth, folder: Path
) -> None:
    worker = prefect.spawn("worker", "start", "--pool", "demo-pool", "--type", "process")
    try:
        with running(folder, prefect.api_url) as service:
            assert prefect.spawn_flows().wait() == 0
            agree(service, truth)
            before = len(service.ids())
            assert service.stop() == 0
            assert prefect.spawn_flows("direct").wait() == 0
            service.start()
            agree(service, truth)
            assert len(service.ids()) > before
            assert service.counted("prefect_streamer_events_recovered_total") >= len(service.ids()) - before
    finally:
        servers.stop(worker)


@pytest.mark.skipif(sys.executable != PREFECT_PYTHON, reason="the demo runs the Prefect beside streamer")
def test_demo_checks_itself(folder: Path) -> None:
    command = [sys.executable, "-m", "streamer", "demo", "--once"]
    result = subprocess.run(command, env=isolated(folder), capture_output=True, text=True, check=False, timeout=170)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "the same" in result.stdout
    assert "Crashed" in result.stdout
    assert "All Good (warn)" in result.stdout
