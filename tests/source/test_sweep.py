"""The sweep, through the real pipeline into a real store, from a fake server."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest
from starlette.responses import HTMLResponse, JSONResponse, Response

from streamer import health as healths
from streamer.audit import MINUTE, SECOND
from streamer.health import SourceHealth
from streamer.instruments import Instruments
from streamer.intake import Intake
from streamer.log import Log
from streamer.model import Frame, Net
from streamer.pipeline import Pipeline
from streamer.source import sweep as module
from streamer.source.api import Api
from streamer.source.sweep import Sweep
from streamer.testing import FakePrefect, an_event, event_pages, fake_prefect, until
from streamer.timestamps import to_micros
from tests.stores import open_store

pytestmark = pytest.mark.either_store

BEFORE = timedelta(hours=5, minutes=30)
NOW = datetime.now(UTC)
NOON = NOW - BEFORE
LONG = 60 * MINUTE
AT_ONCE = ((10 * SECOND, SECOND),)
LATER = (5 * LONG, SECOND)
"""The age at which what occurred at `NOON` falls due a second time."""


@pytest.fixture(autouse=True)
def it_is_now() -> None:
    """Begin each test now: when the session began may be so long ago that nothing falls due a second time."""
    global NOW, NOON
    NOW = datetime.now(UTC)
    NOON = NOW - BEFORE


@dataclass
class Swept:
    """A log that a sweep fills."""

    log: Log
    health: SourceHealth
    intake: Intake

    async def ids(self) -> list[str]:
        return [str(record.event.id) for record in await self.log.after(0, 100_000)]

    async def on_server(self, ids: set[str]) -> bool:
        """Tell whether these, and no others, are what the ledger holds the server to have."""
        return await self.log.store.ids("default", to_micros(NOON), to_micros(NOW)) == set(map(UUID, ids))

    def counted(self, name: str, **labels: str) -> float:
        registry = self.health.instruments.registry
        return registry.get_sample_value(f"prefect_streamer_{name}", {"source": "default", **labels}) or 0


class Bench:
    """What a sweep needs, in a folder."""

    def __init__(self, folder: Path, server: FakePrefect, api: Api) -> None:
        self.path = folder / "streamer.db"
        self.server = server
        self._api = api

    @asynccontextmanager
    async def sweeping(
        self, *, ages: Sequence[tuple[int, int]] = ((10 * SECOND, 15 * SECOND),)
    ) -> AsyncIterator[Swept]:
        """Run sweep and pipeline as a service's start would; it begins when the sweep has come to the present."""
        store = open_store(self.path)
        log, intake, health = await Log.open(store), Intake(), SourceHealth("default", Instruments())
        state = await log.open_source("default", identity="a server", now=NOW)
        sweep = Sweep(self._api, store, health, state, history=timedelta(hours=24), ages=ages)
        pipeline = Pipeline(intake, log, health.instruments, health={"default": health})
        tasks = [asyncio.create_task(sweep.run(intake.put)), asyncio.create_task(pipeline.run())]
        try:
            await until(lambda: health.caught_up or any(task.done() for task in tasks))
            yield Swept(log, health, intake)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await store.close()


@pytest.fixture
def bench(tmp_path: Path, server: FakePrefect, api: Api) -> Bench:
    return Bench(tmp_path, server, api)


def at(seconds: float, **changes: Any) -> dict[str, Any]:
    return an_event(occurred=NOON + timedelta(seconds=seconds), **changes)


def ids(events: Sequence[dict[str, Any]]) -> list[str]:
    return sorted(event["id"] for event in events)


async def test_start_reads_the_history_and_moves_the_watermark_to_the_present(bench: Bench) -> None:
    events = [at(second) for second in range(120)]
    bench.server.publish(*events, an_event(occurred=NOW - timedelta(hours=25)), live=False)
    async with bench.sweeping() as swept:
        assert sorted(await swept.ids()) == ids(events)
        assert swept.health.watermark
        assert timedelta(seconds=9) < datetime.now(UTC) - swept.health.watermark < timedelta(seconds=60)


async def test_start_reads_what_occurred_a_moment_ago_too(bench: Bench) -> None:
    fresh = an_event()
    bench.server.publish(fresh, live=False)
    async with bench.sweeping() as swept:
        assert await swept.ids() == [fresh["id"]]


@pytest.mark.parametrize("number", [49, 50, 51, 100, 130])
async def test_more_than_a_page_at_one_instant_is_read_whole(bench: Bench, number: int) -> None:
    events = [at(0) for _ in range(number)] + [at(1), at(-1)]
    bench.server.publish(*events, live=False)
    async with bench.sweeping() as swept:
        assert sorted(await swept.ids()) == ids(events)


async def test_large_backlog_is_read_in_pieces(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamer.audit.READ_AT_MOST", 100)
    events = [at(second) for second in range(700)]
    bench.server.publish(*events, live=False)
    async with bench.sweeping() as swept:
        assert sorted(await swept.ids()) == ids(events)
        assert swept.counted("audit_windows_total", result="differs") >= 7


async def test_next_start_reads_only_what_is_new_and_what_came_late(bench: Bench) -> None:
    before = [at(second) for second in range(100)]
    bench.server.publish(*before, live=False)
    async with bench.sweeping():
        pass
    requests, late = len(bench.server.requests), at(50.5)
    bench.server.publish(late, live=False)
    async with bench.sweeping(ages=(*AT_ONCE, LATER)) as swept:
        await until(lambda: swept.log.head > 100)
        assert sorted(await swept.ids()) == ids([*before, late])
    assert len(bench.server.requests) - requests < 10


async def test_event_that_the_websocket_dropped_is_found_by_counting(bench: Bench) -> None:
    async with bench.sweeping(ages=((SECOND // 10, SECOND // 5),)) as swept:
        dropped = an_event()
        bench.server.publish(dropped, live=False)
        await until(lambda: swept.log.head)
        assert await swept.ids() == [dropped["id"]]
        assert swept.counted("audit_windows_total", result="equal") > 0


async def test_few_missing_among_many_are_found_by_halving(bench: Bench) -> None:
    events = [at(second) for second in range(1200)]
    bench.server.publish(*events, live=False)
    async with bench.sweeping():
        pass
    late = [at(300.5), at(900.5)]
    bench.server.publish(*late, live=False)
    requests = len(bench.server.requests)
    async with bench.sweeping(ages=(*AT_ONCE, LATER)) as swept:
        await until(lambda: swept.log.head >= 1202)
        assert sorted(await swept.ids()) == ids([*events, *late])
    assert len(bench.server.requests) - requests < 40, "reading it all takes 24 pages, and 24 more for the rest"


async def test_event_that_the_server_lost_is_kept_and_found_out_once(bench: Bench) -> None:
    kept, lost = at(0), at(1)
    bench.server.publish(kept, lost, live=False)
    async with bench.sweeping():
        pass
    bench.server.events.remove(lost)
    async with bench.sweeping(ages=(*AT_ONCE, LATER)) as swept:
        await until(lambda: swept.on_server({kept["id"]}))
    async with bench.sweeping(ages=(*AT_ONCE, LATER)) as swept:
        await until(lambda: swept.counted("audit_windows_total", result="equal") >= 2)
        assert swept.counted("audit_windows_total", result="differs") == 0
        assert sorted(await swept.ids()) == ids([kept, lost])


async def test_event_that_a_page_leaves_out_is_asked_for_by_its_id(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden, lost = at(0), at(1)
    bench.server.publish(hidden, lost, live=False)
    async with bench.sweeping():
        pass

    def leaving_out(events: Any, wanted: Any, **page: int) -> Any:
        shown = events if "id" in wanted else [each for each in events if each is not hidden]
        return event_pages.page(shown, wanted, **page)

    bench.server.events.remove(lost)
    monkeypatch.setattr(fake_prefect, "page", leaving_out)
    async with bench.sweeping(ages=(*AT_ONCE, LATER)) as swept:
        await until(lambda: swept.on_server({hidden["id"]}))


async def test_what_was_received_before_the_servers_answer_is_committed_before_ours_is_counted(
    bench: Bench, api: Api
) -> None:
    store, intake, health = open_store(bench.path), Intake(), SourceHealth("default", Instruments())
    log = await Log.open(store)
    state = await log.open_source("default", identity="a server", now=NOW)
    on_its_way = at(0)
    bench.server.publish(on_its_way, live=False)
    await intake.put(Frame("default", Net.LIVE, orjson.dumps(on_its_way)))
    sweep = Sweep(api, store, health, state, history=timedelta(hours=24), ages=AT_ONCE)
    sweeping = asyncio.create_task(sweep.run(intake.put))
    await until(lambda: bench.server.requests)
    await asyncio.sleep(0.1)  # time enough to compare too early, before the pipeline begins
    moving = asyncio.create_task(Pipeline(intake, log, health.instruments, health={"default": health}).run())
    await until(lambda: health.caught_up)
    for task in (sweeping, moving):
        task.cancel()
    await asyncio.wait((sweeping, moving))
    await store.close()
    registry = health.instruments.registry
    labels = {"source": "default", "result": "differs"}
    assert registry.get_sample_value("prefect_streamer_audit_windows_total", labels) is None


async def test_heartbeats_are_neither_read_nor_counted(bench: Bench) -> None:
    bench.server.publish(at(0, event="prefect.flow-run.heartbeat"), live=False)
    async with bench.sweeping() as swept:
        assert await swept.ids() == []
        assert swept.counted("audit_windows_total", result="differs") == 0


async def test_refused_event_is_counted_as_seen(bench: Bench) -> None:
    forged = at(0)
    forged["resource"]["prefect.resource.id"] = "foo"
    bench.server.publish(forged, live=False)
    async with bench.sweeping(ages=(*AT_ONCE, LATER)) as swept:
        await until(lambda: swept.counted("audit_windows_total", result="equal"))
        assert await swept.ids() == []
        assert swept.counted("audit_windows_total", result="differs") == 1


async def test_connect_and_burst_are_followed_by_readings(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(healths, "AFTER_CONNECT", (0.0, 0.2))
    async with bench.sweeping(ages=((LONG, LONG),)) as swept:
        missed = [an_event()]
        bench.server.publish(*missed, live=False)
        swept.health.open()
        await until(lambda: swept.log.head == 1)
        missed.append(an_event())
        bench.server.publish(missed[1], live=False)
        await until(lambda: swept.log.head == 2)
        assert sorted(await swept.ids()) == ids(missed)


async def test_without_a_websocket_the_newest_are_read_again_and_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "POLL_SECONDS", 0.02)
    async with bench.sweeping(ages=((LONG, LONG),)) as swept:
        for number in (1, 2):
            bench.server.publish(an_event(), live=False)
            await swept.log.wait(number - 1)
        assert not swept.health.connected


async def test_pressure_and_nonsense_are_outlasted(bench: Bench) -> None:
    events = [at(second) for second in range(60)]
    bench.server.publish(*events, live=False)
    impatient = {"Retry-After": "0"}
    bench.server.rest_failures.append(HTMLResponse("<h1>maintenance</h1>"))
    bench.server.rest_failures += [Response(status_code=status, headers=impatient) for status in (500, 429, 503)]
    async with bench.sweeping() as swept:
        assert sorted(await swept.ids()) == ids(events)


async def test_wrong_total_is_read_once_an_age_and_no_loop(bench: Bench) -> None:
    wrong = orjson.dumps({"events": [], "total": 7})
    bench.server.rest_failures.append(Response(wrong, media_type="application/json"))
    async with bench.sweeping() as swept:
        assert await swept.ids() == []
        assert len(bench.server.requests) <= 4


async def test_event_without_a_time_is_left_to_the_pipeline(bench: Bench) -> None:
    page = orjson.dumps({"events": [{"id": "1", "occurred": None}], "total": 1})
    bench.server.rest_failures += [Response(page, media_type="application/json") for _ in range(2)]
    async with bench.sweeping() as swept:
        totals = await swept.log.store.totals()
        assert [counter.labels for counter in totals.counts] == [("schema",)]


async def test_credentials_refused_in_the_middle_are_asked_again(bench: Bench) -> None:
    bench.server.publish(at(0), live=False)
    bench.server.rest_failures.append(Response(status_code=401))
    async with bench.sweeping() as swept:
        assert len(await swept.ids()) == 1


async def test_endless_page_token_is_followed_no_further_than_it_brings_news(bench: Bench) -> None:
    full = [at(0) for _ in range(50)]
    endless = {"events": full, "total": 10**9, "next_page": "http://x/api/events/filter/next?page-token=again"}
    answers = [Response(orjson.dumps(endless), media_type="application/json") for _ in range(4)]
    bench.server.publish(*full, live=False)
    bench.server.rest_failures += [JSONResponse({"events": [], "total": 50}), *answers]
    async with bench.sweeping() as swept:
        assert sorted(await swept.ids()) == ids(full)
        assert len(bench.server.requests) < 12
