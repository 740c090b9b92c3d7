"""`/api/sinks`, `/api/dead-letters`, `/api/quarantine`: what is asked for, what is answered, what is refused."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from schemas.errors import InvalidEvent, Reason
from streamer.model import Frame, Net
from streamer.reports import Bucket
from streamer.store.sql import SqlStore
from streamer.testing.conformance import events
from streamer.web.operations import OperationsAsked, endpoints
from tests.store.agreement import opened
from tests.web.asking import asking, problem

SINK = "https://host:8443/hook?tenant=a b"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    """Return a store with three dead letters, two of them of a sink with a difficult name."""
    store = await opened(tmp_path / "store.db")
    for record in (await store.append("default", events(3), net=Net.LIVE)).records:
        await store.bury(SINK if record.seq < 3 else "another", record, f"reason {record.seq}")
    yield store
    await store.close()


@pytest.fixture
async def http(store: SqlStore) -> AsyncIterator[httpx.AsyncClient]:
    async def sinks() -> list[dict[str, str]]:
        return [{"name": SINK}]

    async def none() -> list[object]:
        return []

    asked = OperationsAsked(history=no_history, letters=store, sinks=sinks, alerts=none, silences=none)
    async with asking(endpoints(asked)) as client:
        yield client


async def no_history(_: object, /) -> list[Bucket]:
    return []


async def test_sinks_are_told(http: httpx.AsyncClient) -> None:
    assert (await http.get("/api/sinks")).json() == {"sinks": [{"name": SINK}]}


async def test_dead_letters_are_told_newest_first(http: httpx.AsyncClient) -> None:
    answer = (await http.get("/api/dead-letters")).json()
    assert (answer["total"], [each["seq"] for each in answer["dead_letters"]]) == (3, [3, 2, 1])
    assert answer["dead_letters"][0] | {"buried": "", "size": 0} == {
        "sink": "another",
        "seq": 3,
        "source": "default",
        "reason": "reason 3",
        "buried": "",
        "size": 0,
    }


async def test_only_a_sinks_and_only_so_many_are_told(http: httpx.AsyncClient) -> None:
    answer = (await http.get("/api/dead-letters", params={"sink": SINK, "limit": "1"})).json()
    assert (answer["total"], [each["seq"] for each in answer["dead_letters"]]) == (2, [2])


@pytest.mark.parametrize("limit", ["0", "-1", "many", "10001", "1" * 5000])
async def test_a_limit_that_is_none_is_refused(http: httpx.AsyncClient, limit: str) -> None:
    answer = await http.get("/api/dead-letters", params={"limit": limit})
    assert (answer.status_code, problem(answer)["field"]) == (400, "limit")
    assert problem(answer)["detail"].startswith("limit: ")


async def test_a_dead_letter_is_shown_as_its_record(http: httpx.AsyncClient, store: SqlStore) -> None:
    name = httpx.URL("http://streamer", params={"sink": SINK}).query.decode().removeprefix("sink=").replace("+", "%20")
    answer = await http.get(f"/api/dead-letters/{name}/2")
    (record,) = await store.buried_records(SINK, [2])
    assert (answer.json()["seq"], answer.json()["id"]) == (2, str(record.event.id))


@pytest.mark.parametrize("path", [f"{SINK.partition('?')[0]}/1", "another/1", "nobody/3"])
async def test_what_is_no_dead_letter_is_not_found(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(f"/api/dead-letters/{path}")
    assert (answer.status_code, "has no dead letter" in problem(answer)["detail"]) == (404, True)


async def test_a_number_that_no_record_can_have_is_refused(http: httpx.AsyncClient) -> None:
    answer = await http.get(f"/api/dead-letters/another/{2**64}")
    assert (answer.status_code, problem(answer)["field"]) == (400, "seq")


async def test_what_is_in_quarantine_is_told_newest_first(http: httpx.AsyncClient, store: SqlStore) -> None:
    for body in (b"{}", b"[]", b"1"):
        await store.quarantine(Frame("default", Net.LIVE, body), InvalidEvent(Reason.SCHEMA, "unheard of"))
    answer = (await http.get("/api/quarantine", params={"limit": 2})).json()
    assert (answer["total"], [each["reason"] for each in answer["quarantine"]]) == (3, [Reason.SCHEMA.value] * 2)
    (one,) = (await http.get("/api/quarantine", params={"key": answer["quarantine"][1]["key"]})).json()["quarantine"]
    assert one == answer["quarantine"][1]
    assert (one["size"], one["net"], one["detail"]) == (2, "live", "unheard of")
