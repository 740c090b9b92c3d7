"""Learning when runs were due, from a fake server through the real pipeline into a real store."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import orjson
import pytest
from starlette.responses import Response
from structlog.testing import capture_logs

from schemas import decode
from streamer.health import SourceHealth
from streamer.instruments import Instruments
from streamer.intake import Intake
from streamer.log import Log
from streamer.model import Net
from streamer.pipeline import Pipeline
from streamer.source.api import Api
from streamer.source.dues import DueTimes
from streamer.store.sql import SqlStore
from streamer.testing import FakePrefect, an_event, until
from tests.stores import open_store, rows

pytestmark = pytest.mark.either_store


NOW = datetime.now(UTC)
DUE = NOW - timedelta(minutes=5)
AT_ONCE = timedelta(seconds=0.005)


class Learned:
    """A store whose runs' due times are learned."""

    def __init__(self, path: Path, store: SqlStore, server: FakePrefect) -> None:
        self._path = path
        self.store = store
        self.turns = 0
        self._server = server
        self._without_due = store.without_due
        store.without_due = self._counted  # type: ignore[method-assign]  # to know that it was asked again

    async def _counted(self, source: str, limit: int) -> set[UUID]:
        self.turns += 1
        return await self._without_due(source, limit)

    @property
    def asked(self) -> int:
        return sum("flow_runs/filter" in each for each in self._server.requests)

    async def a_run(self, *, is_there: bool = True) -> UUID:
        """Return a run that is in the store, and on the server if so asked, due at `DUE`."""
        run = uuid4()
        event = an_event(run=str(run), occurred=NOW)
        self._server.tables.due[str(run)] = DUE.isoformat()
        if is_there:
            self._server.tables.enter(event)
        await self.store.append("default", [decode(orjson.dumps(event))], net=Net.LIVE)
        return run

    async def due(self, *runs: UUID) -> list[datetime | None]:
        known = await self.store.runs(runs)
        return [known[run].due for run in runs]

    async def all_known(self) -> None:
        """Return once nothing is left to learn."""
        await until(lambda: rows(self._path, "SELECT id FROM runs WHERE due IS NULL") == [])


class Bench:
    """What learning needs, in a folder."""

    def __init__(self, folder: Path, server: FakePrefect, api: Api) -> None:
        self.server = server
        self._path = folder / "streamer.db"
        self._api = api

    @asynccontextmanager
    async def open(self, *, every: timedelta = AT_ONCE) -> AsyncIterator[tuple[Learned, DueTimes, Intake]]:
        """Open a store with its pipeline; learning begins when its task is made, once `present` is set."""
        store = open_store(self._path)
        log, intake, health = await Log.open(store), Intake(), SourceHealth("default", Instruments())
        self.present = health.present
        await log.open_source("default", identity="a server", now=NOW - timedelta(hours=1))
        health.present.set()
        learned = Learned(self._path, store, self.server)
        dues = DueTimes(self._api, store, health, every=every)
        pipeline = asyncio.create_task(Pipeline(intake, log, health.instruments).run())
        try:
            yield learned, dues, intake
        finally:
            pipeline.cancel()
            await asyncio.wait([pipeline])
            await store.close()

    @asynccontextmanager
    async def learning(self) -> AsyncIterator[Learned]:
        """Learn again and again for the length of the block."""
        async with self.open() as (learned, dues, intake):
            task = asyncio.create_task(dues.run(intake.put))
            try:
                yield learned
            finally:
                task.cancel()
                await asyncio.wait([task])


@pytest.fixture
def bench(tmp_path: Path, server: FakePrefect, api: Api) -> Bench:
    return Bench(tmp_path, server, api)


async def test_due_times_are_learned_and_waits_measured(bench: Bench) -> None:
    async with bench.learning() as learned:
        run = await learned.a_run()
        await learned.all_known()
        assert await learned.due(run) == [DUE]
        assert (await learned.store.runs([run]))[run].waited


async def test_of_none_it_is_asked_twice_and_of_nothing_while_all_are_known(bench: Bench) -> None:
    async with bench.learning() as learned:
        await learned.a_run()
        await learned.all_known()
        turns = learned.turns
        await until(lambda: learned.turns >= turns + 5)
        assert learned.asked == 1


async def test_a_restart_asks_for_nothing_that_is_known(bench: Bench) -> None:
    async with bench.learning() as learned:
        first = await learned.a_run()
        await learned.all_known()
    async with bench.learning() as learned:
        second = await learned.a_run()
        await learned.all_known()
        assert await learned.due(first, second) == [DUE, DUE]
        assert learned.asked == 2


async def test_a_run_that_the_server_has_no_more_is_not_asked_for_for_ever(bench: Bench) -> None:
    async with bench.learning() as learned:
        gone, there = await learned.a_run(is_there=False), await learned.a_run()
        await learned.all_known()
        assert await learned.due(gone, there) == [NOW, DUE], "for want of better, when it was first seen"


async def test_more_than_are_asked_for_at_once_are_all_learned_without_a_pause(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamer.source.dues.AT_ONCE", 3)
    async with bench.open(every=timedelta(hours=1)) as (learned, dues, intake):
        runs = [await learned.a_run() for _ in range(7)]
        task = asyncio.create_task(dues.run(intake.put))
        await learned.all_known()
        task.cancel()
        await asyncio.wait([task])
        assert await learned.due(*runs) == [DUE] * 7
        assert learned.asked == 3


@pytest.mark.parametrize("failure", [Response(status_code=503), Response(b"<html>"), Response(b'[{"no": "id"}]')])
async def test_a_server_that_fails_is_asked_again(bench: Bench, failure: Response) -> None:
    bench.server.rest_failures = [failure] * 2
    with capture_logs() as logs:
        async with bench.learning() as learned:
            run = await learned.a_run()
            await learned.all_known()
            assert await learned.due(run) == [DUE]
    assert [each["event"] for each in logs] == ["cannot learn when runs were due"] * 2


async def test_nothing_is_asked_before_the_source_has_caught_up(bench: Bench) -> None:
    async with bench.open() as (learned, dues, intake):
        bench.present.clear()
        run = await learned.a_run()
        task = asyncio.create_task(dues.run(intake.put))
        await asyncio.sleep(0)
        assert await learned.due(run) == [None]
        assert learned.turns == 0
        bench.present.set()
        await until(lambda: learned.asked == 1)
        task.cancel()
        await asyncio.wait([task])
