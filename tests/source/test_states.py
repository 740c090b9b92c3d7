"""The states net, into a real store, from a fake server: what no event told, and what no state confirms."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest

from schemas import Notice, Transition, decode
from schemas.ours import NoticeAbout
from streamer.health import SourceHealth
from streamer.instruments import Instruments
from streamer.intake import Intake
from streamer.log import Log
from streamer.model import Net
from streamer.pipeline import Pipeline
from streamer.source.api import Api
from streamer.source.states import States
from streamer.testing import FakePrefect, an_event, until
from tests.store.agreement import IDENTITY
from tests.stores import open_store

pytestmark = pytest.mark.either_store

Json = dict[str, Any]

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
OFTEN = timedelta(seconds=0.05)
MINUTE = timedelta(minutes=1)


class Bench:
    """A log that the states net fills, and nothing else."""

    def __init__(self, folder: Path, server: FakePrefect, api: Api) -> None:
        self.server = server
        self.store = open_store(folder / "streamer.db")
        self._api = api

    @asynccontextmanager
    async def comparing(self, *, settled: timedelta, second_look: timedelta = timedelta(0)) -> AsyncIterator[Log]:
        intake, instruments = Intake(), Instruments()
        log = await Log.open(self.store)
        state = await log.open_source("default", identity=IDENTITY, now=LONG_AGO)
        health = SourceHealth("default", instruments)
        health.present.set()
        net = States(self._api, self.store, health, state, every=OFTEN, settled=settled, second_look=second_look)
        running = [
            asyncio.create_task(each) for each in (net.run(intake.put), Pipeline(intake, log, instruments).run())
        ]
        try:
            yield log
        finally:
            for task in running:
                task.cancel()
            await asyncio.wait(running)
            await self.store.close()

    async def compared(self, times: int) -> None:
        """Wait until the runs were compared so many times more."""
        asked = self.server.requests.count("/api/flow_runs/filter")
        await until(lambda: self.server.requests.count("/api/flow_runs/filter") >= asked + 3 * times)


@pytest.fixture
def bench(tmp_path: Path, server: FakePrefect, api: Api) -> Bench:
    return Bench(tmp_path, server, api)


def chain(run: str, *, ago: timedelta) -> tuple[Json, Json]:
    """Return how a run began, and an event that follows it."""
    moment = datetime.now(UTC) - ago
    began = an_event(run=run, before=None, after="PENDING", occurred=moment)
    return began, an_event(run=run, follows=began["id"], occurred=moment + timedelta(seconds=1))


async def transitions(log: Log) -> list[Transition]:
    return [each.event for each in await log.after(0, 1000) if isinstance(each.event, Transition)]


async def notices(log: Log) -> list[NoticeAbout]:
    return [each.event.about for each in await log.after(0, 1000) if isinstance(each.event, Notice)]


async def test_what_a_synthesised_event_belongs_to_is_named(bench: Bench) -> None:
    bench.server.publish(an_event(occurred=datetime.now(UTC) - MINUTE), live=False, stored=False)
    async with bench.comparing(settled=timedelta(0)) as log:
        await until(lambda: log.head)
        (made,) = await transitions(log)
        assert made.flow
        assert (made.flow.name, made.received) == ("etl", None)


async def test_hole_is_looked_into_only_when_what_is_missing_has_had_its_time(bench: Bench) -> None:
    began, follows = chain(str(uuid4()), ago=timedelta(seconds=20))
    bench.server.publish(began, follows, live=False)
    async with bench.comparing(settled=MINUTE) as log:
        await log.append("default", [decoded(follows)], net=Net.LIVE)
        await bench.compared(2)
        assert len(await transitions(log)) == 1, "it may still be on its way"


async def test_hole_is_filled_from_the_servers_states(bench: Bench) -> None:
    began, follows = chain(str(uuid4()), ago=2 * MINUTE)
    bench.server.publish(began, follows, live=False)
    async with bench.comparing(settled=MINUTE) as log:
        await log.append("default", [decoded(follows)], net=Net.LIVE)
        await until(lambda: log.head == 2)
        assert {str(each.id) for each in await transitions(log)} == {began["id"], follows["id"]}


@pytest.mark.parametrize(("apart", "marked"), [(timedelta(0), True), (MINUTE, False)])
async def test_event_without_a_state_is_a_phantom_when_it_was_looked_for_twice_some_time_apart(
    bench: Bench, apart: timedelta, marked: bool
) -> None:
    began, rolled_back = chain(str(uuid4()), ago=2 * MINUTE)
    bench.server.publish(began, live=False)
    bench.server.publish(rolled_back, live=False, rolled_back=True)
    async with bench.comparing(settled=MINUTE, second_look=apart) as log:
        await log.append("default", [decoded(began), decoded(rolled_back)], net=Net.LIVE)
        if marked:
            await until(lambda: log.head == 3)
        else:
            await bench.compared(3)
        assert await notices(log) == [NoticeAbout.PHANTOM] * marked


def decoded(content: Json) -> Any:
    return decode(orjson.dumps(content))
