"""A replica that stands by, beside a service that leads: it follows the store, and changes nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from streamer import config
from streamer import standing_by as standbys
from streamer.errors import StoreError
from streamer.front import Front
from streamer.log import Log
from streamer.service import Service
from streamer.standing_by import standing_by
from streamer.testing import FakePrefect, an_event, until
from tests.place import Place

TOKEN = "a token of both"


@pytest.fixture
async def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    monkeypatch.setattr(standbys, "EVERY_SECONDS", 0.02)
    monkeypatch.setattr(standbys, "REST", 1)
    async with FakePrefect() as server:
        yield Place(tmp_path, server)


@asynccontextmanager
async def beside(place: Place) -> AsyncIterator[tuple[Service, httpx.AsyncClient]]:
    """Yield a service that leads, and how to ask one that stands by on the same store."""
    settings, front = config.only(**place.settings, access={"token": TOKEN}), Front()
    how: dict[str, Any] = {"base_url": "http://standby", "headers": {"Authorization": f"Bearer {TOKEN}"}}
    async with (
        place.running() as leader,
        standing_by(settings, front),
        httpx.AsyncClient(transport=httpx.ASGITransport(front), **how) as http,
    ):
        yield leader, http


async def samples(http: httpx.AsyncClient) -> dict[str, float]:
    """Return what a scraper sees, summed by name."""
    text = (await http.get("/metrics")).raise_for_status().text
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for each in family.samples:
            found[each.name] = found.get(each.name, 0) + each.value
    return found


async def test_it_shows_what_the_leader_writes(place: Place) -> None:
    async with beside(place) as (_, http):
        events = [an_event() for _ in range(3)]
        place.server.publish(*events)
        await place.has(*events)

        async def follows() -> bool:
            seen = await samples(http)
            shown = (await http.get("/api/live")).json()
            return (
                len(shown["rows"]) == 3
                and shown["runs"]["total"] == 3
                and seen.get("prefect_flow_run_transitions_total") == seen.get("prefect_flow_runs") == 3
            )

        await until(follows)
        assert (await samples(http))["prefect_streamer_leader"] == 0
        shown = (await http.get("/api/live")).json()
        assert shown["runs"]["by_state"] == {"RUNNING": 3}
        assert shown["standing"]["sentence"].startswith("All is well: standing by for another replica")
        assert {each["name"]: each["state"] for each in shown["sinks"]} == {f"jsonl://{place.file}": "elsewhere"}
        assert len((await http.get("/api/runs")).json()["items"]) == 3
        ready = await http.get("/readyz")
        assert (ready.status_code, ready.json()["role"], ready.json()["sources"][0]["mode"]) == (
            200,
            "standby",
            "store",
        )


async def test_it_changes_nothing_and_says_who_does(place: Place) -> None:
    async with beside(place) as (leader, http):
        answer = await http.post("/api/control/sinks/test", json={"sink": "any"})
        assert (answer.status_code, answer.json()["detail"]) == (409, "this replica stands by, and changes nothing")
        assert answer.json()["hint"] == f"ask {await leader.started()}"


async def test_what_it_shows_is_not_shown_once_it_is_old(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standbys, "STALE_SECONDS", 0.2)

    async def fail(*_: object) -> None:
        raise StoreError("the database is away", may_pass=True)

    async with beside(place) as (_, http):
        assert (await http.get("/readyz")).status_code == 200
        with monkeypatch.context() as away:
            away.setattr(Log, "follow", fail)

            async def is_old() -> bool:
                return (await http.get("/readyz")).status_code == 503

            await until(is_old)
            assert (await http.get("/metrics")).status_code == 503
            assert "could not be read for" in (await http.get("/api/live")).json()["standing"]["sentence"]

        async def is_back() -> bool:
            return (await http.get("/metrics")).status_code == 200

        await until(is_back)
