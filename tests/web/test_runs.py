"""`/api/runs…`, `/api/flows`, `/api/deployments`: what a store with known runs answers, and what is refused."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import orjson
import pytest

from schemas import decode
from streamer.errors import StoreError
from streamer.model import Net, RunState
from streamer.store.sql import SqlStore
from streamer.testing import an_event
from streamer.web.runs import RunsAsked, endpoints
from tests import frames
from tests.store.agreement import opened
from tests.web.asking import asking, problem

pytestmark = pytest.mark.either_store

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
NOW = NOON + timedelta(hours=1)
FLOW = "00000000-0000-4000-8000-00000000f104"
DEPLOYMENT = "00000000-0000-4000-8000-0000000de910"
RUNS = [str(UUID(int=number)) for number in range(1, 6)]


def a_move(run: str, before: str | None, after: str, second: float, **changes: Any) -> dict[str, Any]:
    event = an_event(run=run, before=before, after=after, occurred=NOON + timedelta(seconds=second), **changes)
    role = {"prefect.resource.id": f"prefect.deployment.{DEPLOYMENT}", "prefect.resource.role": "deployment"}
    event["related"] += [role | {"prefect.resource.name": "nightly"}]
    return event


def history() -> list[dict[str, Any]]:
    """Return what five runs went through: four ended, one failed of them, and the last runs."""
    found = []
    for number, run in enumerate(RUNS):
        end = "FAILED" if number == 3 else "COMPLETED"
        found += [a_move(run, None, "PENDING", number), a_move(run, "PENDING", "RUNNING", number + 0.25)]
        found += [a_move(run, "RUNNING", end, number + 10)] if number < 4 else []
    return found


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    store = await opened(tmp_path / "store.db")
    await store.append("default", [decode(orjson.dumps(each)) for each in history()], net=Net.LIVE)
    yield store
    await store.close()


@pytest.fixture
async def http(store: SqlStore) -> AsyncIterator[httpx.AsyncClient]:
    names = (await store.totals()).names

    async def zombies() -> Sequence[RunState]:
        return await store.find_runs(judged=True)

    asked = RunsAsked(
        inspection=store.inspection,
        store=store,
        zombies=zombies,
        names=lambda: names,
        pages={"default": "http://ui"},
        now=lambda: NOW,
    )
    async with asking(endpoints(asked)) as client:
        yield client


async def told(http: httpx.AsyncClient, path: str, **asked: Any) -> Any:
    return (await http.get(path, params=asked)).raise_for_status().json()


async def test_a_run_is_told_with_all_that_is_known_of_it(http: httpx.AsyncClient) -> None:
    run = await told(http, f"/api/runs/{RUNS[3]}")
    state = run.pop("state")
    assert state.pop("id")
    assert state == {"type": "FAILED", "name": "Failed", "message": None, "at": "2026-11-21T12:00:13Z"}
    assert run == {
        "id": RUNS[3],
        "name": f"run-{RUNS[3][:8]}",
        "source": "default",
        "flow": {"id": FLOW, "name": "etl"},
        "deployment": {"id": DEPLOYMENT, "name": "nightly"},
        "work_pool": None,
        "work_queue": None,
        "parent_task_run": None,
        "tags": [],
        "run_count": 1,
        "since": "2026-11-21T12:00:13Z",
        "created": "2026-11-21T12:00:03Z",
        "due": None,
        "started": "2026-11-21T12:00:03.250000Z",
        "ended": "2026-11-21T12:00:13Z",
        "duration": 9.75,
        "deleted": None,
        "last_heartbeat": None,
        "verdict": None,
        "url": f"http://ui/runs/flow-run/{RUNS[3]}",
    }


async def test_pages_have_each_run_once_and_lead_to_the_next(http: httpx.AsyncClient) -> None:
    found, after = [], None
    while True:
        page = await told(http, "/api/runs", limit=2, **({"after": after} if after else {}))
        found.append([run["id"] for run in page["items"]])
        if not (after := page["next"]):
            break
    assert found == [[RUNS[4], RUNS[3]], [RUNS[2], RUNS[1]], [RUNS[0]]]


@pytest.mark.parametrize(
    ("asked", "numbers"),
    [
        ({"states": "FAILED,RUNNING"}, [4, 3]),
        ({"states": ["FAILED", "RUNNING"]}, [4, 3]),
        ({"ids": f"{RUNS[0]},{RUNS[2]}", "oldest_first": "true"}, [0, 2]),
        ({"flows": "e*", "since": "2026-11-21T12:00:03Z"}, [4, 3]),
        ({"deployments": "nightly", "until": "2026-11-21T12:00:01Z"}, [0]),
        ({"deployments": DEPLOYMENT, "order": "ended"}, [3, 2, 1, 0]),
        ({"names": "nobody"}, []),
    ],
)
async def test_runs_are_told_by_what_is_asked(
    http: httpx.AsyncClient, asked: dict[str, Any], numbers: list[int]
) -> None:
    page = await told(http, "/api/runs", **asked)
    assert ([run["id"] for run in page["items"]], page["next"]) == ([RUNS[number] for number in numbers], None)


async def test_all_pages_are_counted_by_state(http: httpx.AsyncClient) -> None:
    assert await told(http, "/api/runs/count", limit=1) == {
        "total": 5,
        "by_state": {"COMPLETED": 3, "FAILED": 1, "RUNNING": 1},
    }
    assert await told(http, "/api/runs/count", states="CRASHED") == {"total": 0, "by_state": {}}


async def test_the_states_of_a_run_are_told_in_order_with_their_seconds(
    http: httpx.AsyncClient, store: SqlStore
) -> None:
    late = a_move(RUNS[4], "PENDING", "PENDING", 4.125)
    await store.append("default", [decode(orjson.dumps(late))], net=Net.SWEEP)
    ended = await told(http, f"/api/runs/{RUNS[3]}/transitions")
    running = await told(http, f"/api/runs/{RUNS[4]}/transitions")
    shown = [[(each["type"], each["seconds"]) for each in page["items"]] for page in (ended, running)]
    assert shown == [
        [("PENDING", 0.25), ("RUNNING", 9.75), ("FAILED", None)],
        [("PENDING", 0.125), ("PENDING", 0.125), ("RUNNING", 3600 - 4.25)],
    ]
    assert (ended["items"][0]["occurred"], ended["next"]) == ("2026-11-21T12:00:03Z", None)


async def test_of_two_states_in_an_instant_one_comes_after_what_it_follows(
    http: httpx.AsyncClient, store: SqlStore
) -> None:
    run = str(uuid4())
    first = a_move(run, None, "PENDING", 0)
    second = a_move(run, "PENDING", "RUNNING", 0, follows=first["id"])
    await store.append("default", [decode(orjson.dumps(each)) for each in (second, first)], net=Net.LIVE)
    states = (await told(http, f"/api/runs/{run}/transitions"))["items"]
    assert [(each["id"], each["seconds"]) for each in states] == [(first["id"], 0), (second["id"], 3600)]


async def test_heartbeats_are_told_by_both_clocks(http: httpx.AsyncClient, store: SqlStore) -> None:
    times = {"occurred": "2026-11-21T12:00:30Z", "received": "2026-11-21T12:00:31Z"}
    beat = frames.heartbeat(UUID(RUNS[4]), **times)
    await store.append("default", [decode(orjson.dumps(beat))], net=Net.LIVE)
    assert (await told(http, f"/api/runs/{RUNS[4]}/heartbeats"))["items"] == [times]


async def test_flows_and_deployments_are_told_with_how_their_runs_fare(http: httpx.AsyncClient) -> None:
    (flow,) = (await told(http, "/api/flows"))["items"]
    (deployment,) = (await told(http, "/api/deployments", flows="etl"))["items"]
    for each in (flow, deployment):
        assert (each["runs"], each["consecutive_failures"], each["source"]) == (5, 1, "default")
        ids = [each[name]["id"] for name in ("latest", "latest_successful", "latest_failed")]
        assert ids == [RUNS[4], RUNS[2], RUNS[3]]
    assert (flow["id"], flow["name"]) == (FLOW, "etl")
    assert (deployment["name"], deployment["flow"]) == ("nightly", {"id": FLOW, "name": "etl"})
    assert await told(http, "/api/flows", names="none") == {"items": [], "next": None}


async def test_flows_are_told_by_pages(http: httpx.AsyncClient, store: SqlStore) -> None:
    others = []
    for number in range(4):
        event = an_event(occurred=NOON - timedelta(seconds=number))
        event["related"][0] |= {"prefect.resource.id": f"prefect.flow.{uuid4()}", "prefect.resource.name": f"f{number}"}
        others.append(decode(orjson.dumps(event)))
    await store.append("default", others, net=Net.LIVE)
    found, after = [], None
    while True:
        page = await told(http, "/api/flows", limit=2, **({"after": after} if after else {}))
        found.append([flow["name"] for flow in page["items"]])
        if not (after := page["next"]):
            break
    assert found == [["etl", "f0"], ["f1", "f2"], ["f3"]]


@pytest.mark.parametrize("what", ["", "/transitions", "/heartbeats"])
async def test_a_run_that_nobody_knows_is_not_found(http: httpx.AsyncClient, what: str) -> None:
    answer = await http.get(f"/api/runs/{uuid4()}{what}")
    assert (answer.status_code, problem(answer)["field"], problem(answer)["title"]) == (404, "id", "Not Found")


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/runs/crimson-fox", "id"),
        ("/api/runs/1/transitions", "id"),
        ("/api/runs?limit=0", "limit"),
        ("/api/runs?colour=red", "colour"),
        ("/api/flows?after=x", "after"),
    ],
)
async def test_what_cannot_be_asked_is_refused_with_its_field(http: httpx.AsyncClient, path: str, field: str) -> None:
    answer = await http.get(path)
    assert (answer.status_code, problem(answer)["field"]) == (400, field)


async def test_a_cursor_of_another_order_is_refused(http: httpx.AsyncClient) -> None:
    after = (await told(http, "/api/runs", limit=1))["next"]
    answer = await http.get("/api/runs", params={"after": after, "order": "ended"})
    assert (answer.status_code, "a cursor of another order" in problem(answer)["detail"]) == (400, True)


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/api/nothing", 404), ("POST", "/api/runs", 405)])
async def test_what_is_not_there_is_a_problem_too(http: httpx.AsyncClient, method: str, path: str, status: int) -> None:
    answer = await http.request(method, path)
    assert (answer.status_code, problem(answer)["status"]) == (status, status)
    assert set(answer.headers.get("allow", "").split(", ")) == ({"GET", "HEAD"} if status == 405 else {""})


async def test_a_store_that_cannot_be_read_is_said(
    http: httpx.AsyncClient, store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(_: object) -> None:
        raise StoreError("the disk is gone", "is it mounted?")

    monkeypatch.setattr(store.inspection, "runs", fails)
    answer = await http.get("/api/runs")
    assert (answer.status_code, problem(answer)["detail"]) == (503, "the disk is gone")


async def test_a_fault_of_ours_tells_nothing_of_itself(
    http: httpx.AsyncClient, store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(_: object) -> None:
        raise RuntimeError("hunter2")

    monkeypatch.setattr(store.inspection, "runs", fails)
    answer = await http.get("/api/runs")
    assert (answer.status_code, "hunter2" in answer.text) == (500, False)
    assert problem(answer)["title"] == "Internal Server Error"
