"""What a server has besides runs: read from its REST page by page, and shown as gauges until it is read again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from starlette.responses import JSONResponse, Response
from structlog.testing import capture_logs

from streamer.clock import ServerClock, SystemClock
from streamer.health import SourceHealth
from streamer.instruments import Instruments
from streamer.inventory import Inventory, WorkPool, WorkQueue
from streamer.metrics.inventory import InventoryGauges
from streamer.source.api import Api
from streamer.source.connection import Connection
from streamer.source.inventory import InventoryReader
from streamer.testing import FakePrefect, until

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
LAST_SUCCESS = "prefect_streamer_inventory_last_success_timestamp_seconds"

Json = dict[str, Any]


def a_deployment(name: str = "nightly", **changes: Any) -> Json:
    usual = {
        "name": name,
        "flow_id": "f1",
        "work_pool_name": "pool",
        "work_queue_name": "default",
        "status": "READY",
        "paused": False,
        "schedules": [{"active": False}, {"active": True}],
        "path": "/flows",
        "tags": ["a", "b"],
    }
    return {**usual, **changes}


def a_queue(**changes: Any) -> Json:
    usual = {
        "id": "q1",
        "name": "default",
        "work_pool_name": "pool",
        "status": "READY",
        "is_paused": False,
        "priority": 3,
        "last_polled": NOON.isoformat(),
    }
    return {**usual, **changes}


class World:
    """A server, a reader of it, and the gauges that show what was read."""

    def __init__(self, server: FakePrefect, api: Api) -> None:
        self.server = server
        self.has = server.tables.inventory
        self.registry = CollectorRegistry()
        self.gauges = InventoryGauges(self.registry)
        self.health = SourceHealth("default", Instruments())
        self.health.present.set()
        self.taken = 0
        self.reader = InventoryReader(api, self.health, self.take, every=timedelta(seconds=0.001))

    def take(self, source: str, inventory: Inventory) -> None:
        self.taken += 1
        self.gauges.take(source, inventory)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """Read again and again for the length of the block."""
        task = asyncio.create_task(self.reader.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def read(self) -> None:
        self.take("default", await self.reader.read())

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with (
        FakePrefect() as server,
        Api(Connection(server.api_url), ServerClock(SystemClock()), Instruments()) as api,
    ):
        server.tables.inventory["flows"].append({"id": "f1", "name": "etl"})
        yield World(server, api)


async def test_a_deployment_is_told_with_flow_pool_queue_and_status(world: World) -> None:
    world.has["deployments"] += [a_deployment(), a_deployment("hourly", paused=True, status="NOT_READY")]
    await world.read()
    place = {"flow": "etl", "work_pool": "pool", "work_queue": "default"}
    assert world.value("prefect_deployment_info", **place, deployment="nightly", status="READY") == 1
    assert world.value("prefect_deployment_info", **place, deployment="hourly", status="NOT_READY") == 1
    assert world.value("prefect_deployment_paused", **place, deployment="nightly") == 0
    assert world.value("prefect_deployment_paused", **place, deployment="hourly") == 1


async def test_a_deployment_is_read_whole(world: World) -> None:
    world.has["deployments"].append(a_deployment())
    (deployment,) = (await world.reader.read()).deployments
    assert deployment._asdict() == {
        "name": "nightly",
        "flow": "etl",
        "work_pool": "pool",
        "work_queue": "default",
        "status": "READY",
        "paused": False,
        "is_scheduled": True,
        "path": "/flows",
        "tags": ("a", "b"),
    }


async def test_what_is_not_told_is_empty(world: World) -> None:
    world.has["deployments"].append({"name": "bare", "flow_id": "gone", "work_pool_name": None})
    world.has["work_pools"].append({"name": "push"})
    world.has["work_queues"].append({"id": "q1", "name": "q"})
    found = await world.reader.read()
    assert found.deployments[0]._asdict() == {
        "name": "bare",
        "flow": "",
        "work_pool": "",
        "work_queue": "",
        "status": "",
        "paused": False,
        "is_scheduled": False,
        "path": "",
        "tags": (),
    }
    assert list(found.work_pools) == [WorkPool("push", "", "", False)]
    assert list(found.work_queues) == [WorkQueue("q1", "q", "", "", False, 0, None)]


async def test_pools_tell_their_type_and_whether_a_worker_polls_them(world: World) -> None:
    for name, status in (("a", "READY"), ("b", "NOT_READY"), ("c", None)):
        world.has["work_pools"].append({"name": name, "type": "process", "status": status, "is_paused": False})
    await world.read()
    assert world.value("prefect_work_pool_info", work_pool="a", type="process") == 1
    ready = {name: world.value("prefect_work_pool_ready", work_pool=name) for name in "abc"}
    assert ready == {"a": 1, "b": 0, "c": None}


async def test_queues_tell_when_they_were_polled_and_their_late_runs(world: World) -> None:
    world.has["work_queues"] += [a_queue(), a_queue(id="q2", name="new", last_polled=None)]
    await world.read()
    world.gauges.late = {"q1": 4, "gone": 9}
    place, new = {"work_pool": "pool", "work_queue": "default"}, {"work_pool": "pool", "work_queue": "new"}
    assert world.value("prefect_work_queue_late_runs", **place) == 4
    assert world.value("prefect_work_queue_late_runs", **new) == 0
    assert world.value("prefect_work_queue_last_polled_timestamp_seconds", **place) == NOON.timestamp()
    assert world.value("prefect_work_queue_last_polled_timestamp_seconds", **new) is None


@pytest.mark.parametrize("number", [199, 200, 201, 450])
async def test_more_than_a_page_is_read_whole(world: World, number: int) -> None:
    world.has["deployments"] += [a_deployment(f"number {each}") for each in range(number)]
    await world.read()
    assert world.value("prefect_deployments") == number
    assert len({each.name for each in world.gauges.inventory.deployments}) == number


async def test_numbers_are_of_all_there_is(world: World) -> None:
    world.has["work_pools"] += [{"name": name} for name in "ab"]
    world.has["work_queues"] += [a_queue(id=name, name=name) for name in "abc"]
    await world.read()
    numbers = [world.value(f"prefect_{kind}") for kind in ("flows", "deployments", "work_pools", "work_queues")]
    assert numbers == [1, 0, 2, 3]


def test_before_it_was_read_nothing_is_said_to_be_there() -> None:
    registry = CollectorRegistry()
    InventoryGauges(registry)
    found = [(each.name, each.value) for family in registry.collect() for each in family.samples]
    assert found == [(LAST_SUCCESS, 0)]


@pytest.mark.parametrize(
    "failure",
    [Response(status_code=503), Response(b"<html>"), JSONResponse([{"no": "id"}])],
    ids=["503", "html", "odd"],
)
async def test_a_server_that_fails_leaves_what_was_read_last_and_when(world: World, failure: Response) -> None:
    await world.read()
    read_at = world.value(LAST_SUCCESS)
    world.has["flows"].append({"id": "f2", "name": "new"})
    world.server.rest_failures = [failure] * 100_000
    with capture_logs() as logs:
        async with world.reading():
            await until(lambda: len(logs) >= 2)
    assert {each["event"] for each in logs} == {"cannot read deployments and work pools"}
    assert (world.value("prefect_flows"), world.value(LAST_SUCCESS)) == (1, read_at)


async def test_a_server_that_is_back_is_read_again(world: World) -> None:
    world.server.rest_failures = [Response(b"<html>")]
    with capture_logs() as logs:
        async with world.reading():
            await until(lambda: world.value("prefect_flows") == 1)
            world.has["flows"].append({"id": "f2", "name": "new"})
            await until(lambda: world.value("prefect_flows") == 2)
    assert len(logs) == 1


async def test_it_is_not_asked_before_its_source_has_caught_up(world: World) -> None:
    world.health.present.clear()
    async with world.reading():
        for _ in range(3):  # reads of ours, as long as one of its own
            await world.reader.read()
        assert world.taken == 0
        world.health.present.set()
        await until(lambda: world.taken > 0)
