"""What the Prefect server alone knows, told over HTTP; and what is said when it cannot be asked."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID, uuid4

import httpx
import pytest

from streamer.errors import ConnectionLost
from streamer.run_details import ArtifactView, DeploymentDetails, RunDetails, StateDetails
from streamer.run_view import LogLine, TaskRunView
from streamer.web.server_asked import endpoints
from tests.web.asking import asking, problem

T = TypeVar("T")

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
RUN, NOBODY, DEPLOYMENT, TASK_RUN = uuid4(), uuid4(), uuid4(), uuid4()


class Server:
    """A Prefect server that has five of everything of any run, or is gone."""

    def __init__(self) -> None:
        self.is_gone = False

    async def logs(self, run: UUID, *, offset: int, limit: int, newest_first: bool = False) -> Sequence[LogLine]:
        lines = [LogLine(UUID(int=number), NOON, 20, str(run), f"line {number}") for number in range(5)]
        return self._told(lines[::-1] if newest_first else lines)[offset : offset + limit]

    async def task_runs(self, run: UUID, *, offset: int, limit: int) -> Sequence[TaskRunView]:
        found = [TaskRunView(UUID(int=number), f"step-{number}", str(run), str(number)) for number in range(5)]
        return self._told(found)[offset : offset + limit]

    async def artifacts(self, run: UUID, *, offset: int, limit: int) -> Sequence[ArtifactView]:
        found = [ArtifactView(UUID(int=number), NOON, NOON, str(run), data=[number]) for number in range(5)]
        return self._told(found)[offset : offset + limit]

    async def details(self, run: UUID) -> RunDetails | None:
        state = StateDetails(UUID(int=1), {"type": "unpersisted"})
        return self._told(RunDetails(run, {"rows": 3}, flow_version="1", state=state) if run == RUN else None)

    async def deployment(self, deployment: UUID) -> DeploymentDetails | None:
        found = DeploymentDetails(deployment, "nightly", "flows.py:etl", "2")
        return self._told(found if deployment == DEPLOYMENT else None)

    async def run_of(self, task_run: UUID) -> UUID | None:
        return self._told(RUN if task_run == TASK_RUN else None)

    def _told(self, found: T) -> T:
        if self.is_gone:
            raise ConnectionLost("http://prefect: refused", "is it running?")
        return found


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
async def http(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with asking(endpoints(server)) as client:
        yield client


async def told(http: httpx.AsyncClient, path: str, **asked: Any) -> Any:
    return (await http.get(path, params=asked)).raise_for_status().json()


@pytest.mark.parametrize("what", ["logs", "task_runs", "artifacts"])
async def test_what_there_is_much_of_is_told_by_parts(http: httpx.AsyncClient, what: str) -> None:
    parts = [await told(http, f"/api/runs/{RUN}/{what}", offset=offset, limit=3) for offset in (0, 3, 6)]
    assert [(len(part["items"]), part["next"]) for part in parts] == [(3, 3), (2, None), (0, None)]
    assert str(RUN) in str(parts[0]["items"][0])


async def test_the_last_lines_can_be_told_first(http: httpx.AsyncClient) -> None:
    last = await told(http, f"/api/runs/{RUN}/logs", newest_first="true", limit=2)
    assert [each["message"] for each in last["items"]] == ["line 4", "line 3"]


async def test_details_of_a_run_are_told(http: httpx.AsyncClient) -> None:
    details = await told(http, f"/api/runs/{RUN}/details")
    assert (details["parameters"], details["flow_version"], details["context"]) == ({"rows": 3}, "1", None)
    assert details["state"] == {"id": str(UUID(int=1)), "data": {"type": "unpersisted"}}


async def test_a_run_that_the_server_does_not_know_is_said_to_be_so(http: httpx.AsyncClient) -> None:
    answer = await http.get(f"/api/runs/{NOBODY}/details")
    said = problem(answer)
    assert (answer.status_code, said["field"]) == (404, "id")
    assert said["detail"] == f"the Prefect server knows no run {NOBODY}"


async def test_a_deployment_and_the_run_of_a_task_run_are_told_or_null(http: httpx.AsyncClient) -> None:
    deployment = await told(http, f"/api/deployments/{DEPLOYMENT}/details")
    assert (deployment["name"], deployment["entrypoint"], deployment["version"]) == ("nightly", "flows.py:etl", "2")
    assert await told(http, f"/api/deployments/{NOBODY}/details") is None
    assert await told(http, f"/api/task_runs/{TASK_RUN}") == {"id": str(TASK_RUN), "run": str(RUN)}
    assert await told(http, f"/api/task_runs/{NOBODY}") == {"id": str(NOBODY), "run": None}


@pytest.mark.parametrize("what", ["logs", "task_runs", "artifacts", "details"])
async def test_a_server_that_is_gone_is_said(http: httpx.AsyncClient, server: Server, what: str) -> None:
    server.is_gone = True
    answer = await http.get(f"/api/runs/{RUN}/{what}")
    said = problem(answer)
    assert (answer.status_code, said["hint"]) == (502, "is it running?")
    assert said["detail"] == "the Prefect server cannot be asked: http://prefect: refused"


@pytest.mark.parametrize(
    ("path", "field"),
    [
        (f"/api/runs/{RUN}/logs?limit=201", "limit"),
        (f"/api/runs/{RUN}/task_runs?offset=-1", "offset"),
        (f"/api/runs/{RUN}/artifacts?order=new", "order"),
        ("/api/runs/etl/details", "id"),
        ("/api/task_runs/step-0", "id"),
    ],
)
async def test_what_cannot_be_asked_is_refused(http: httpx.AsyncClient, path: str, field: str) -> None:
    answer = await http.get(path)
    assert (answer.status_code, problem(answer)["field"]) == (400, field)
