"""The states net on a real Prefect server: what no event told, told by the server's own tables."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest

from schemas import Kind, Notice, StateType, Transition, decode
from schemas.ours import NoticeAbout
from streamer.clock import ServerClock, SystemClock
from streamer.demo.server import PrefectServer
from streamer.demo.truth import Truth
from streamer.health import SourceHealth
from streamer.instruments import Instruments
from streamer.intake import Intake
from streamer.log import Log
from streamer.model import Family, Net, Record, SourceState
from streamer.pipeline import Pipeline
from streamer.source.api import Api
from streamer.source.connection import Connection
from streamer.source.states import States
from streamer.store.sqlite import SqliteStore
from streamer.testing import an_event, until
from tests import patient

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(300)]

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@asynccontextmanager
async def only_states(folder: Path, api_url: str) -> AsyncIterator[Log]:
    """Run the states net, and no other, into a real store."""
    instruments, intake = Instruments(), Intake()
    health = SourceHealth("default", instruments)
    health.present.set()
    store = SqliteStore.open(folder / "streamer.db")
    log = await Log.open(store)
    await log.open_source("default", identity=api_url, now=LONG_AGO)
    async with Api(Connection(api_url), ServerClock(SystemClock()), instruments) as api:
        state = SourceState("default", api_url, epoch=LONG_AGO)
        often, at_once = timedelta(seconds=0.2), timedelta(0)
        net = States(api, store, health, state, every=often, settled=at_once, second_look=often)
        tasks = [net.run(intake.put), Pipeline(intake, log, instruments).run()]
        running = [asyncio.create_task(task) for task in tasks]
        try:
            yield log
        finally:
            for task in running:
                task.cancel()
            await asyncio.wait(running)
            await store.close()


async def records(log: Log) -> list[Record]:
    return list(await log.after(0, 10_000))


async def test_states_that_no_event_announced_become_the_events_that_the_server_would_have_sent(
    prefect: PrefectServer, truth: Truth, folder: Path
) -> None:
    assert await asyncio.to_thread(prefect.spawn_flows("direct").wait) == 0
    async with only_states(folder, prefect.api_url) as log:
        ids = truth.state_ids()
        await until(lambda: log.head >= len(ids), seconds=60)
        made = {str(each.event.id): orjson.loads(each.event.raw) for each in await records(log)}
    assert made.keys() >= ids
    sent = {event["id"]: event for event in truth.events()}
    for ident in ids & sent.keys():
        if "prefect.run-count" not in sent[ident]["resource"]:  # before Prefect 3.4.8; ours tell it all the same
            del made[ident]["resource"]["prefect.run-count"]
        assert _compared(made[ident]) == _compared(sent[ident])


def _compared(event: dict[str, Any]) -> dict[str, Any]:
    """Return what a synthesised event has in common with the real one: all but who received it, and when."""
    kept = {key: event[key] for key in ("id", "event", "payload")}
    labels = {key: event["resource"][key] for key in sorted(event["resource"]) if key != "prefect.state-timestamp"}
    flow = next(each for each in event["related"] if each["prefect.resource.role"] == "flow")
    return {**kept, "occurred": datetime.fromisoformat(event["occurred"]), "resource": labels, "flow": flow}


async def test_scheduled_run_is_found_and_when_it_is_deleted_a_notice_says_so(
    prefect: PrefectServer, folder: Path
) -> None:
    async with patient.async_client(base_url=prefect.api_url) as http:
        flow = (await http.post("/flows/", json={"name": "doomed-before-it-began"})).json()
        body = {"flow_id": flow["id"], "name": "never-to-be", "state": {"type": "SCHEDULED"}}
        run = (await http.post("/flow_runs/", json=body)).raise_for_status().json()
        async with only_states(folder, prefect.api_url) as log:
            await until(lambda: _has(log, Transition, run["id"]), seconds=60)
            (await http.delete(f"/flow_runs/{run['id']}")).raise_for_status()
            await until(lambda: _has(log, Notice, run["id"]), seconds=60)
            assert UUID(run["id"]) not in await log.store.unfinished("default")
            notices = [each for each in await records(log) if each.event.kind is Kind.NOTICE]
            assert [notice.event.run_id for notice in notices] == [UUID(run["id"])]


class Run:
    """A run of the real server, moved by hand."""

    def __init__(self, http: httpx.AsyncClient, ident: str) -> None:
        self._http = http
        self.id = UUID(ident)

    @classmethod
    async def create(cls, http: httpx.AsyncClient) -> "Run":
        flow = (await http.post("/flows/", json={"name": "by-hand"})).json()
        body = {"flow_id": flow["id"], "state": {"type": "PENDING"}}
        return cls(http, (await http.post("/flow_runs/", json=body)).raise_for_status().json()["id"])

    async def enter(self, state: str) -> None:
        body = {"state": {"type": state}, "force": True}
        (await self._http.post(f"/flow_runs/{self.id}/set_state", json=body)).raise_for_status()

    async def states(self) -> set[UUID]:
        found = await self._http.get("/flow_run_states/", params={"flow_run_id": str(self.id)})
        return {UUID(state["id"]) for state in found.raise_for_status().json()}


async def _shown(log: Log, run: Run) -> StateType | None:
    known = (await log.store.runs([run.id])).get(run.id)
    return known.state_type if known else None


async def test_run_that_flips_after_its_end_is_shown_as_the_server_shows_it(
    prefect: PrefectServer, folder: Path
) -> None:
    async with patient.async_client(base_url=prefect.api_url) as http:
        run = await Run.create(http)
        async with only_states(folder, prefect.api_url) as log:
            for state in (StateType.RUNNING, StateType.CRASHED, StateType.COMPLETED, StateType.RUNNING):
                await run.enter(state)
                await until(partial(_shows, log, run, state), seconds=20)
            await until(partial(_has_just, log, run, await run.states()), seconds=20)


async def test_phantom_is_found_marked_and_kept_out_of_its_run(prefect: PrefectServer, folder: Path) -> None:
    async with patient.async_client(base_url=prefect.api_url) as http:
        run = await Run.create(http)
        await run.enter(StateType.RUNNING)
        async with only_states(folder, prefect.api_url) as log:
            await until(partial(_shows, log, run, StateType.RUNNING), seconds=20)
            rolled_back = decode(orjson.dumps(an_event(run=str(run.id), before="RUNNING", after="FAILED")))
            await log.append("default", [rolled_back], net=Net.LIVE)
            assert await _shown(log, run) is StateType.FAILED
            await until(partial(_shows, log, run, StateType.RUNNING), seconds=20)
            notices = [each.event for each in await records(log) if isinstance(each.event, Notice)]
            assert [(each.about, each.announcement.event) for each in notices] == [
                (NoticeAbout.PHANTOM, rolled_back.id)
            ]
            await run.enter(StateType.COMPLETED)
            await until(partial(_shows, log, run, StateType.COMPLETED), seconds=20)
            await until(partial(_has_just, log, run, await run.states()), seconds=20)
            counts = (await log.store.totals()).counts
            counted = {family: sum(counts[each] for each in counts if each.family is family) for family in Family}
            assert counted[Family.TRANSITIONS] - counted[Family.PHANTOMS] >= len(await run.states())
            assert counted[Family.PHANTOMS] == 1


async def _shows(log: Log, run: Run, state: StateType) -> bool:
    return await _shown(log, run) is state


async def _has_just(log: Log, run: Run, states: set[UUID]) -> bool:
    return set(await log.store.transitions(run.id)) == states


async def _has(log: Log, kind: type, run: str) -> bool:
    return any(isinstance(each.event, kind) and str(each.event.run_id) == run for each in await records(log))
