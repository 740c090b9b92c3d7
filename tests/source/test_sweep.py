import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from starlette.responses import HTMLResponse, Response

from streamer.health import SourceHealth
from streamer.model import Frame, Mark, Net, SourceState
from streamer.source import sweep as module
from streamer.source.api import Api
from streamer.source.sweep import Sweep
from streamer.testing import FakePrefect, an_event, until

NOW = datetime.now(UTC)
NOON = NOW - timedelta(hours=6)


class Swept:
    """What a sweep yielded so far."""

    def __init__(self) -> None:
        self.items: list[Frame | Mark] = []

    @property
    def ids(self) -> list[str]:
        return [orjson.loads(each.data)["id"] for each in self.items if isinstance(each, Frame)]

    @property
    def marks(self) -> list[Mark]:
        return [each for each in self.items if isinstance(each, Mark)]

    @property
    def passes(self) -> int:
        return sum(mark.complete for mark in self.marks)


@asynccontextmanager
async def sweeping(api: Api, health: SourceHealth, *, watermark: datetime | None = None) -> AsyncIterator[Swept]:
    """Run the sweep; at the end of each pass health is told, as the pipeline does."""
    state = SourceState("default", api.connection.api_url, epoch=NOW, watermark=watermark)
    net, swept = Sweep(api, health, state, history=timedelta(hours=24)), Swept()

    async def collect() -> None:
        async for item in net.frames():
            swept.items.append(item)

    task = asyncio.create_task(collect())
    try:
        yield swept
    finally:
        task.cancel()
        await asyncio.wait([task])


def at(seconds: float, **changes: Any) -> dict[str, Any]:
    return an_event(occurred=NOON + timedelta(seconds=seconds), **changes)


def ids(events: Sequence[dict[str, Any]]) -> set[str]:
    return {event["id"] for event in events}


async def test_first_pass_reads_the_history_and_marks_its_end(
    server: FakePrefect, health: SourceHealth, api: Api
) -> None:
    events = [at(second) for second in range(120)]
    server.publish(*events, an_event(occurred=NOW - timedelta(hours=25)), live=False)
    async with sweeping(api, health) as swept:
        await until(lambda: swept.passes)
    assert set(swept.ids) == ids(events)
    assert NOW - timedelta(minutes=1) < swept.marks[-1].watermark < datetime.now(UTC) - timedelta(seconds=10)


async def test_frames_are_the_sweeps(server: FakePrefect, health: SourceHealth, api: Api) -> None:
    server.publish(at(0), live=False)
    async with sweeping(api, health) as swept:
        await until(lambda: swept.passes)
    assert isinstance(swept.items[0], Frame)
    assert swept.items[0].net is Net.SWEEP


@pytest.mark.parametrize("number", [49, 50, 51, 100, 130])
async def test_more_than_a_page_at_one_instant_is_read_whole(
    server: FakePrefect, health: SourceHealth, api: Api, number: int
) -> None:
    events = [at(0) for _ in range(number)] + [at(1), at(-1)]
    server.publish(*events, live=False)
    async with sweeping(api, health) as swept:
        await until(lambda: swept.passes)
    assert set(swept.ids) == ids(events)


async def test_start_reads_again_from_an_hour_before_the_watermark(
    server: FakePrefect, health: SourceHealth, api: Api
) -> None:
    old, late = at(-3700), at(-3500)
    server.publish(old, late, live=False)
    async with sweeping(api, health, watermark=NOON) as swept:
        await until(lambda: swept.passes)
    assert swept.ids == [late["id"]]


async def test_heartbeats_are_left_out(server: FakePrefect, health: SourceHealth, api: Api) -> None:
    server.publish(at(0, event="prefect.flow-run.heartbeat"), live=False)
    async with sweeping(api, health) as swept:
        await until(lambda: swept.passes)
    assert swept.ids == []


async def test_connect_is_followed_by_three_passes(
    server: FakePrefect, health: SourceHealth, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AFTER_CONNECT", (0.1, 0.2))
    async with sweeping(api, health) as swept:
        await until(lambda: swept.passes == 1)
        health.open()
        await until(lambda: swept.passes == 2)
        late = an_event()
        server.publish(late, live=False)
        await until(lambda: swept.passes == 4)
    assert late["id"] in swept.ids


async def test_passes_go_on_without_a_connection(
    server: FakePrefect, health: SourceHealth, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EVERY_SECONDS", 0.02)
    async with sweeping(api, health) as swept:
        await until(lambda: swept.passes == 3)
    assert not health.connected


async def test_pressure_and_nonsense_are_outlasted(server: FakePrefect, health: SourceHealth, api: Api) -> None:
    events = [at(second) for second in range(60)]
    server.publish(*events, live=False)
    impatient = {"Retry-After": "0"}
    server.rest_failures += [Response(status_code=status, headers=impatient) for status in (500, 429, 503)]
    async with sweeping(api, health) as swept:
        await until(lambda: swept.passes)
    assert set(swept.ids) == ids(events)
    assert len(server.requests) == 5


async def test_html_in_the_place_of_events_is_outlasted(server: FakePrefect, health: SourceHealth, api: Api) -> None:
    server.publish(at(0), live=False)
    server.rest_failures.append(HTMLResponse("<h1>maintenance</h1>"))
    async with sweeping(api, health) as swept:
        await until(lambda: swept.passes)
    assert len(swept.ids) == 1


async def test_event_without_a_time_is_left_to_the_pipeline(
    server: FakePrefect, health: SourceHealth, api: Api
) -> None:
    page = orjson.dumps({"events": [{"id": "1", "occurred": None}], "total": 1})
    server.rest_failures.append(Response(page, media_type="application/json"))
    async with sweeping(api, health) as swept:
        await until(lambda: swept.passes)
    assert swept.ids == ["1"]
