"""What the live page of a whole service is told."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from streamer.service import Service
from streamer.testing import FakePrefect, an_event, until
from tests.frames import heartbeat
from tests.place import Place


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with FakePrefect() as server:
        yield Place(tmp_path, server)


async def live(service: Service) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=await service.started(), trust_env=False) as http:
        found: dict[str, Any] = (await http.get("/api/live")).raise_for_status().json()
        return found


def run_of(event: dict[str, Any]) -> str:
    return str(event["resource"]["prefect.resource.id"]).removeprefix("prefect.flow-run.")


async def test_all_that_the_page_shows_can_be_asked_for(place: Place) -> None:
    async with place.running() as service:
        event = an_event()
        times = dict.fromkeys(("occurred", "received"), event["occurred"])
        beat = heartbeat(run_of(event), **times)  # type: ignore[arg-type]
        place.server.publish(event, beat)
        await place.has(event)

        async def is_told() -> bool:
            told = await live(service)
            return bool(told["rows"] and told["runs"]["items"] and told["runs"]["items"][0]["beats"])

        await until(is_told)
        told = await live(service)
    assert told["standing"]["sentence"].startswith("All is well")
    assert [(each["run"], each["state"]) for each in told["rows"]] == [(run_of(event), "Running")]
    assert (told["runs"]["total"], told["runs"]["by_state"]) == (1, {"RUNNING": 1})
    assert told["runs"]["items"][0]["id"] == run_of(event)
    assert told["activity"]["states"]["RUNNING"][-2:] in ([0, 1], [1, 0])
    assert [(each["name"], each["state"], each["behind"]) for each in told["sinks"]] == [
        (f"jsonl://{place.file}", "up", 0)
    ]
    assert told["alerts"] == []


async def test_a_restarted_service_shows_what_happened_before_and_viewers_go_on(place: Place) -> None:
    async with place.running() as service:
        run = an_event()
        ended = an_event(run=run_of(run), before="RUNNING", after="FAILED")
        place.server.publish(run, ended)
        await place.has(run, ended)

        async def is_told() -> bool:
            return len((await live(service))["rows"]) == 2

        await until(is_told)
        before = await live(service)
    async with place.running() as service:
        after = await live(service)
        address = await service.started()
        async with (
            httpx.AsyncClient(base_url=address, trust_env=False) as http,
            http.stream("GET", "/api/events", params={"after": before["id"]}) as answer,
        ):
            events = [line async for line in _until_standing(answer)]
    assert (after["id"], after["rows"]) == (before["id"], before["rows"])
    assert sum(map(sum, after["activity"]["states"].values())) == 2
    assert [each["runs"] for each in after["activity"]["took"]] == [1]
    assert "event: reset" not in events


async def _until_standing(answer: httpx.Response) -> AsyncIterator[str]:
    async for line in answer.aiter_lines():
        yield line
        if line == "event: standing":
            return


async def test_a_sink_that_is_down_is_not_well(place: Place) -> None:
    sinks = {"hook": {"type": "webhook", "url": "http://127.0.0.1:9/hook"}}
    async with place.running(sinks=sinks, grace="0s") as service:
        place.server.publish(an_event())

        async def is_said() -> bool:
            return "sink hook takes nothing" in (await live(service))["standing"]["sentence"]

        await until(is_said)
        told = await live(service)
    (hook,) = [each for each in told["sinks"] if each["name"] == "hook"]
    assert (told["standing"]["level"], hook["state"], hook["failed"] > 0) == ("wrong", "down", True)
