"""Our REST beside a real Prefect server's: runs, their states, logs and task runs, and the process that is asked."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from streamer.demo.server import PrefectServer
from streamer.demo.truth import Truth
from tests import patient
from tests.running import PREFECT_PYTHON, RunningService

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(400)]

TOKEN = "token-of-the-operators"
FLOWS = "etl,report,flaky,quality"


class Asked(RunningService):
    """A service process that lets in only who has the token."""

    def is_ready(self) -> bool:
        assert self.process
        assert self.process.poll() is None, self.log.read_text()
        try:
            return patient.get(f"{self.address}/livez").is_success and self.told("/readyz") is not None
        except httpx.HTTPError:
            return False

    def told(self, path: str, **asked: Any) -> Any:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        url = f"{self.address}{path}"
        return patient.get(url, params=asked, headers=headers).raise_for_status().json()


@pytest.fixture(scope="module")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """A server that has no other runs than these."""
    with PrefectServer(tmp_path_factory.mktemp("prefect-of-rest"), python=PREFECT_PYTHON) as server:
        yield server


def test_what_we_tell_of_runs_is_what_prefect_tells(prefect: PrefectServer, truth: Truth, folder: Path) -> None:
    service = Asked(folder, prefect.api_url, STREAMER_ACCESS__TOKEN=TOKEN)
    service.start()
    try:
        assert prefect.spawn_flows("direct").wait(120) == 0, prefect.log.read_text()[-2_000:]
        told: list[Any] = []

        def is_all_told() -> bool:
            told[:] = service.told("/api/runs", flows=FLOWS, limit=1000)["items"]
            return len(told) >= 4 and all(run["ended"] for run in told)

        service.wait_until(is_all_told)
        theirs = {run["id"]: run for run in truth.runs()}
        alike = [agrees(service, prefect, run, theirs[run["id"]]) for run in told]
        assert all(map(any, zip(*alike, strict=True))), "there were states, lines and task runs to compare"
        assert service.told("/api/runs/count", flows=FLOWS)["total"] == len(told)
        assert patient.get(f"{service.address}/api/runs").status_code == 401
    finally:
        service.stop()
    assert TOKEN not in service.log.read_text()


def agrees(service: Asked, prefect: PrefectServer, ours: Any, theirs: Any) -> tuple[int, int, int]:
    """Require that a run is told as the server tells it; return how many states, lines and task runs it has."""
    assert (ours["name"], ours["state"]["type"], ours["state"]["id"]) == (
        theirs["name"],
        theirs["state_type"],
        theirs["state_id"],
    )
    assert datetime.fromisoformat(ours["ended"]) == datetime.fromisoformat(theirs["end_time"])
    assert ours["url"].endswith(f"/runs/flow-run/{theirs['id']}")
    states = service.told(f"/api/runs/{theirs['id']}/transitions")["items"]
    their_states = get(prefect, "/flow_run_states/", flow_run_id=theirs["id"])
    assert [each["id"] for each in states] == [each["id"] for each in sorted(their_states, key=_time)]
    of_run = {"id": {"any_": [theirs["id"]]}}
    lines = service.told(f"/api/runs/{theirs['id']}/logs")["items"]
    their_lines = post(prefect, "/logs/filter", {"logs": {"flow_run_id": {"any_": [theirs["id"]]}}})
    assert sorted(each["message"] for each in lines) == sorted(each["message"] for each in their_lines)
    tasks = service.told(f"/api/runs/{theirs['id']}/task_runs")["items"]
    their_tasks = post(prefect, "/task_runs/filter", {"flow_runs": of_run})
    assert {each["id"]: each["name"] for each in tasks} == {each["id"]: each["name"] for each in their_tasks}
    parameters = service.told(f"/api/runs/{theirs['id']}/details")["parameters"]
    assert parameters == theirs["parameters"]
    agrees_by_graphql(service, theirs, their_lines, their_tasks)
    return len(states), len(lines), len(tasks)


QUESTION = """
    query ($name: String!) {
      flow_run(
        where: {name: {_eq: $name}, state: {_in: [COMPLETED, FAILED, CRASHED]}}
        order_by: {start_time: desc}
        limit: 3
      ) {
        id state start_time end_time run_count tags flow_id
        transitions { id } logs { message } task_runs { id }
      }
    }
"""


def agrees_by_graphql(service: Asked, theirs: Any, their_lines: Any, their_tasks: Any) -> None:
    """Require that GraphQL, asked for the run's name, tells it as the server does."""
    variables = orjson.dumps({"name": theirs["name"]}).decode()
    answer = service.told("/graphql", query=QUESTION, variables=variables)
    (ours,) = [each for each in answer["data"]["flow_run"] if each["id"] == theirs["id"]]
    assert ours["state"] == theirs["state_type"]
    for name in ("run_count", "flow_id"):
        assert ours[name] == theirs[name]
    for name in ("start_time", "end_time"):
        assert datetime.fromisoformat(ours[name]) == datetime.fromisoformat(theirs[name])
    assert sorted(ours["tags"]) == sorted(theirs["tags"])
    assert theirs["state_id"] == ours["transitions"][-1]["id"]
    assert sorted(each["message"] for each in ours["logs"]) == sorted(each["message"] for each in their_lines)
    assert {each["id"] for each in ours["task_runs"]} == {each["id"] for each in their_tasks}


def _time(state: Any) -> datetime:
    return datetime.fromisoformat(state["timestamp"])


def get(prefect: PrefectServer, path: str, **asked: str) -> Any:
    return patient.get(f"{prefect.api_url}{path}", params=asked).raise_for_status().json()


def post(prefect: PrefectServer, path: str, body: Any) -> Any:
    return patient.post(f"{prefect.api_url}{path}", json=body).raise_for_status().json()
