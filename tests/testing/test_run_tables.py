"""The fake server's tables of runs and states, asked as the real server's are."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from streamer.testing import FakePrefect, an_event

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
FLOW = "00000000-0000-4000-8000-00000000f104"


@pytest.fixture
async def server() -> AsyncIterator[FakePrefect]:
    async with FakePrefect() as fake:
        yield fake


@pytest.fixture
async def http(server: FakePrefect) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.api_url, trust_env=False) as client:
        yield client


def at(second: int, **changes: Any) -> dict[str, Any]:
    return an_event(occurred=NOON + timedelta(seconds=second), **changes)


async def runs(http: httpx.AsyncClient, wanted: dict[str, Any], **more: Any) -> list[Any]:
    body = {"flow_runs": wanted, "sort": "ID_DESC", **more}
    return list((await http.post("/flow_runs/filter", json=body)).raise_for_status().json())


async def test_states_come_oldest_first_whatever_became_of_their_events(
    server: FakePrefect, http: httpx.AsyncClient
) -> None:
    run = str(uuid4())
    last, first = at(2, run=run, before="RUNNING", after="COMPLETED"), at(1, run=run)
    server.publish(last, live=False, stored=False)
    server.publish(first)
    states = (await http.get("/flow_run_states/", params={"flow_run_id": run})).json()
    assert [(each["id"], each["type"]) for each in states] == [(first["id"], "RUNNING"), (last["id"], "COMPLETED")]


async def test_run_is_in_its_newest_state_and_ended_when_that_is_a_terminal_one(
    server: FakePrefect, http: httpx.AsyncClient
) -> None:
    run = str(uuid4())
    server.publish(at(2, run=run, before="RUNNING", after="FAILED"), at(1, run=run))
    (found,) = await runs(http, {"id": {"any_": [run]}})
    assert (found["state_type"], found["flow_id"]) == ("FAILED", FLOW)
    assert datetime.fromisoformat(found["end_time"]) == NOON + timedelta(seconds=2)


async def test_runs_are_found_by_state_and_by_when_they_ended(server: FakePrefect, http: httpx.AsyncClient) -> None:
    running, ended = str(uuid4()), str(uuid4())
    server.publish(at(1, run=running), at(5, run=ended, before="RUNNING", after="COMPLETED"))
    found = await runs(http, {"state": {"type": {"any_": ["RUNNING", "PENDING"]}}})
    assert [each["id"] for each in found] == [running]
    for second, number in ((4, 1), (6, 0)):
        after = (NOON + timedelta(seconds=second)).isoformat()
        assert len(await runs(http, {"end_time": {"after_": after}}, sort="END_TIME_DESC")) == number


async def test_runs_come_by_pages(server: FakePrefect, http: httpx.AsyncClient) -> None:
    server.publish(*(at(second) for second in range(250)))
    pages = [await runs(http, {}, limit=200, offset=offset) for offset in (0, 200)]
    assert [len(page) for page in pages] == [200, 50]
    assert len({each["id"] for page in pages for each in page}) == 250


@pytest.mark.parametrize("body", [{"flow_runs": {"colour": "red"}}, {"flow_runs": {}, "limit": 201}])
async def test_what_prefect_cannot_be_asked_is_refused(http: httpx.AsyncClient, body: dict[str, Any]) -> None:
    assert (await http.post("/flow_runs/filter", json={"sort": "ID_DESC", **body})).status_code == 422


async def test_state_that_was_rolled_back_and_run_that_was_deleted_are_not_there(
    server: FakePrefect, http: httpx.AsyncClient
) -> None:
    phantom, deleted = str(uuid4()), str(uuid4())
    server.publish(at(1, run=phantom), rolled_back=True)
    server.publish(at(1, run=deleted))
    server.tables.delete(deleted)
    assert await runs(http, {}) == []
    assert (await http.get("/flow_run_states/", params={"flow_run_id": deleted})).json() == []


async def test_names_are_told_by_id(server: FakePrefect, http: httpx.AsyncClient) -> None:
    server.publish(at(1))
    wanted = {"id": {"any_": [FLOW, str(uuid4())]}}
    assert (await http.post("/flows/filter", json={"flows": wanted})).json() == [{"id": FLOW, "name": "etl"}]
    assert (await http.post("/deployments/filter", json={"deployments": wanted})).json() == []


async def test_what_is_no_transition_changes_no_table(server: FakePrefect) -> None:
    resource = {"prefect.resource.id": f"prefect.flow-run.{uuid4()}"}
    server.publish(at(1, event="prefect.flow-run.heartbeat", resource=resource, payload={}))
    server.publish(at(1, resource={**at(1)["resource"], "prefect.resource.id": "foo"}))
    assert server.tables.runs == {}
