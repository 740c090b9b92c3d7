"""The client: a store and the service that runs on it answer the same, and what cannot be had is said."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from streamer.client import Client
from streamer.errors import ConfigError, SourceError, StoreError
from streamer.model import Dues
from streamer.reports import Bucket
from streamer.testing import FakePrefect, an_event
from tests.place import Place

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMER_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
async def server() -> AsyncIterator[FakePrefect]:
    async with FakePrefect() as fake:
        yield fake


async def history(place: str, **asked: Any) -> list[Bucket]:
    return await asyncio.to_thread(lambda: Client(place).history(**asked))


def states(buckets: Sequence[Bucket]) -> list[tuple[str, int]]:
    return [(each.state_name, each.count_runs) for bucket in buckets for each in bucket.states]


async def test_a_store_and_the_service_on_it_answer_the_same(server: FakePrefect, tmp_path: Path) -> None:
    place = Place(tmp_path, server)
    async with place.running() as service:
        server.publish(*(an_event(before="RUNNING", after=state) for state in ("FAILED", "COMPLETED")))
        await place.has(*server.events)
        runs = [run.id for run in await service.core.store.find_runs()]
        await service.core.store.learn(Dues("default", dict.fromkeys(runs, datetime.now(UTC) - timedelta(minutes=5))))
        url, asked = await service.started(), {"since": "2h", "interval": timedelta(hours=1), "flows": ["etl"]}
        of_store, of_service = [await history(each, **asked) for each in (place.settings["store"], url + "/")]
        of_none = await history(url, **{**asked, "flows": ["none"]})
        async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
            answer = await http.get("/api/history?since=2h&interval=1h")
    assert states(of_store) == states(of_service) == [("Completed", 1), ("Failed", 1)]
    assert states(of_none) == []
    assert all(isinstance(each, Bucket) and each.interval_start.tzinfo for each in (*of_store, *of_service))
    assert [each.interval_end - each.interval_start for each in of_service] == [timedelta(hours=1)] * 2
    assert [len(each["states"]) for each in answer.json()] == [0, 2]


@pytest.mark.parametrize("asked", [{"since": "soon"}, {"interval": "5 parsecs"}, {"since": "-1h"}])
def test_what_is_no_duration_is_refused(asked: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        Client(NOWHERE).history(**asked)


def test_too_many_intervals_are_refused_before_anybody_is_asked() -> None:
    with pytest.raises(ConfigError, match="these are 1440 intervals, and the most is 500"):
        Client(NOWHERE).history(interval="1m")


def test_a_place_that_does_not_answer_is_a_clear_error() -> None:
    with pytest.raises(SourceError, match=f"^{re.escape(NOWHERE)} does not answer") as caught:
        Client(NOWHERE).history()
    assert caught.value.hint == "is it a streamer's address?"


async def test_a_place_that_is_no_streamer_is_a_clear_error(server: FakePrefect) -> None:
    with pytest.raises(SourceError, match="answered 404"):
        await history(server.api_url)


def test_a_store_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no store at"):
        Client(f"sqlite:///{tmp_path}/none.db").history()


def test_without_a_place_it_is_the_store_of_the_settings(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=str(tmp_path / "home" / "streamer.db")):
        Client().history()
