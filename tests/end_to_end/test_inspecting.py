"""The commands that look at runs, as processes, beside a real Prefect server: of the store, and of the service."""

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import httpx
import orjson
import pytest

from streamer.demo.server import PrefectServer, stop
from tests import patient
from tests.end_to_end.test_run_log import post
from tests.running import PREFECT_PYTHON, RunningService, isolated

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(300)]

TOKEN = "token-of-the-operators"
PLACES = ("store", "service")


class Guarded(RunningService):
    """A service that lets in only who has the token."""

    def is_ready(self) -> bool:
        assert self.process
        assert self.process.poll() is None, self.log.read_text()
        try:
            headers = {"Authorization": f"Bearer {TOKEN}"}
            return patient.get(f"{self.address}/readyz", headers=headers).is_success
        except httpx.HTTPError:
            return False


class Operator:
    """Somebody who asks by the command line, of the store or of the service."""

    def __init__(self, folder: Path, prefect: PrefectServer, service: RunningService) -> None:
        self.prefect = prefect
        self.service = service
        self._folder = folder
        settings = {"STREAMER_API_URL": prefect.api_url, "STREAMER_ACCESS__TOKEN": TOKEN, "COLUMNS": "200"}
        self._environment = isolated(folder) | settings

    def start(self, place: str, *arguments: str) -> subprocess.Popen[str]:
        where = ("--service", self.service.address) if place == "service" else ()
        command = [str(Path(sys.executable).with_name("streamer")), *arguments, *where]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=self._environment, stdout=pipe, stderr=pipe, text=True)

    def told(self, place: str, *arguments: str) -> str:
        with self.start(place, *arguments) as process:
            out, said = process.communicate(timeout=60)
        assert (process.returncode, said) == (0, "")
        return out

    def documents(self, place: str, *arguments: str) -> list[Any]:
        return [orjson.loads(line) for line in self.told(place, *arguments, "--json").splitlines()]


@pytest.fixture(scope="module")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """A server that has no other runs than these."""
    with PrefectServer(tmp_path_factory.mktemp("prefect-of-inspecting"), python=PREFECT_PYTHON) as server:
        yield server


@pytest.fixture(scope="module")
def operator(prefect: PrefectServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    folder = tmp_path_factory.mktemp("inspecting")
    service = Guarded(folder, prefect.api_url, STREAMER_ACCESS__TOKEN=TOKEN)
    service.start()
    try:
        yield Operator(folder, prefect, service)
    finally:
        service.stop()


@pytest.fixture(scope="module")
def gate(operator: Operator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run that goes on until this file is there."""
    gate = tmp_path_factory.mktemp("gate") / "open"
    flows = operator.prefect.spawn_python(str(Path(__file__).with_name("gated_flows.py")), str(gate))
    try:
        operator.service.wait_until(
            lambda: operator.documents("store", "runs", "--name", "inner", "--state", "completed")
        )
        yield gate
    finally:
        stop(flows)


def killed(processes: Sequence[subprocess.Popen[str]]) -> None:
    for process in processes:
        process.kill()
        process.communicate()


def read_until(lines: IO[str] | None, word: str) -> list[str]:
    """Return what is read up to the line with a word."""
    assert lines
    found = [next(lines)]
    while word not in found[-1]:
        found.append(next(lines))
    return found


def test_runs_that_go_on_are_inspected_by_name(operator: Operator, gate: Path) -> None:
    for place in PLACES:
        assert [each["name"] for each in operator.documents(place, "runs", "--state", "running")] == ["followed"]
        (found,) = operator.documents(place, "inspect", "gated/followed")
        assert [each["name"] for each in found["transitions"]] == ["Pending", "Running"]
        assert {each["name"].partition("-")[0] for each in found["task_runs"]} == {"step", "load"}
        shown = operator.told(place, "inspect", "followed")
        assert all(word in shown for word in ("gated", "Running", "step-", found["run"]["id"], found["run"]["url"]))
        (inner,) = operator.documents(place, "inspect", "inner")
        assert inner["parent"] == {"id": found["run"]["id"], "name": "gated/followed"}
        assert inner["unanswered"] == {}


def test_flows_and_deployments_are_listed_as_their_runs_fare(operator: Operator, gate: Path) -> None:
    with patient.client(base_url=operator.prefect.api_url) as http:
        flow = post(http, "/flows/", {"name": "deployed"}).json()["id"]
        deployment = post(http, "/deployments/", {"name": "nightly", "flow_id": flow}).json()["id"]
        asked = {"state": {"type": "SCHEDULED"}}
        run = post(http, f"/deployments/{deployment}/create_flow_run", asked).json()["id"]
    operator.service.wait_until(lambda: operator.documents("store", "runs", "--deployment", "nightly"))
    for place in PLACES:
        found = {each["name"]: each for each in operator.documents(place, "flows")}
        assert set(found) == {"gated", "load", "report", "deployed"}
        assert (found["report"]["runs"], found["report"]["consecutive_failures"]) == (2, 2)
        assert (found["load"]["latest_successful"]["name"], found["gated"]["latest"]["name"]) == ("inner", "followed")
        assert "report" in operator.told(place, "flows", "re*")
        (of,) = operator.documents(place, "deployments", "nightly")
        assert (of["id"], of["flow"]["name"], of["latest"]["id"]) == (deployment, "deployed", run)


@pytest.mark.usefixtures("interruptible")
def test_a_run_is_followed_to_its_last_line(operator: Operator, gate: Path) -> None:
    watching = operator.start("service", "runs", "--flow", "gated", "--watch", "--json")
    following = [operator.start(place, "logs", "gated/followed", "--follow") for place in PLACES]
    try:
        begun = [read_until(process.stdout, "step 1") for process in following]
        read_until(watching.stdout, "RUNNING")
        gate.touch()
        logs = [[*lines, *(process.stdout or ())] for lines, process in zip(begun, following, strict=True)]
        assert [process.wait(60) for process in following] == [0, 0]
        read_until(watching.stdout, "COMPLETED")
        watching.send_signal(signal.SIGINT)
        assert watching.wait(20) == 0
    finally:
        killed([watching, *following])
    assert [messages_of(log) for log in logs] == [the_servers(operator, "followed")] * 2
    assert "last words" in messages_of(logs[0])
    for place in PLACES:
        lines = operator.documents(place, "logs", "followed", "--level", "warning")
        assert [each["message"] for each in lines] == ["step 1"]


def the_servers(operator: Operator, name: str) -> list[str]:
    """Return the messages that the server has of a run, in alphabetical order: late ones were told late."""
    with patient.client(base_url=operator.prefect.api_url) as http:
        (run,) = post(http, "/flow_runs/filter", {"flow_runs": {"name": {"any_": [name]}}}).json()
        lines = post(http, "/logs/filter", {"logs": {"flow_run_id": {"any_": [run["id"]]}}}).json()
    return sorted(each["message"] for each in lines)


def messages_of(shown: Sequence[str]) -> list[str]:
    """Return what follows time, level and task run."""
    return sorted(line.rstrip("\n")[33:].partition(" | ")[2] or line.rstrip("\n")[33:] for line in shown)


def test_a_server_that_is_away_for_a_while_does_not_end_the_following(operator: Operator) -> None:
    with patient.client(base_url=operator.prefect.api_url) as http:
        flow = post(http, "/flows/", {"name": "by-hand"}).json()["id"]
        run = post(http, "/flow_runs/", {"flow_id": flow, "name": "patient", "state": {"type": "RUNNING"}}).json()["id"]
        log(http, run, "before")
        operator.service.wait_until(lambda: operator.documents("store", "runs", "--name", "patient"))
        following = [operator.start(place, "logs", "patient", "--follow", "--json") for place in PLACES]
        try:
            for process in following:
                read_until(process.stdout, "before")
            operator.prefect.stop()
            for process in following:
                read_until(process.stderr, "asking again")
            operator.prefect.start()
            log(http, run, "after")
            post(http, f"/flow_runs/{run}/set_state", {"state": {"type": "COMPLETED"}, "force": True})
            for process in following:
                read_until(process.stdout, "after")
                read_until(process.stderr, "there are answers again")
                assert process.wait(120) == 0
        finally:
            killed(following)


def log(http: httpx.Client, run: str, message: str) -> None:
    entry = {"name": "prefect", "level": 20, "message": message, "timestamp": "2026-11-21T12:00:00Z"}
    post(http, "/logs/", [{**entry, "flow_run_id": run}])
