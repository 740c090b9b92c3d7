"""What is known of a run is told quickly, or not at all: never an error, and nothing that must not leave."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from schemas import decode
from streamer import config, run_facts
from streamer.instruments import Instruments
from streamer.model import Net, Record
from streamer.run_facts import RunFacts
from streamer.surroundings import NO_DETAILS, RunDetails
from streamer.testing.serving import Serving
from tests import frames
from tests.incidents import SINCE, an_alert
from tests.stores import open_store

pytestmark = pytest.mark.either_store

MESSAGES = ["first", "\x1b[31mTraceback\x1b[0m\n  boom", "password=hunter2"]


class Logs:
    """The part of Prefect's API that has logs, newest first; `wait` holds it up."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.wait = 0.0
        self.status = 200

    async def answer(self, request: Request) -> Response:
        self.asked.append(await request.json())
        await asyncio.sleep(self.wait)
        entries = [{"timestamp": "2026-11-21T02:03:46.5Z", "level": 40, "message": each} for each in reversed(MESSAGES)]
        return JSONResponse(entries[: self.asked[-1]["limit"]], status_code=self.status)


@pytest.fixture
def logs() -> Logs:
    return Logs()


@pytest.fixture
async def made(logs: Logs, tmp_path: Path) -> AsyncIterator[Callable[..., RunFacts]]:
    store = open_store(tmp_path / "streamer.db")
    await store.open_source("default", identity="http://server/api", now=SINCE - timedelta(hours=1))
    moves = (("PENDING", "RUNNING", 0), ("RUNNING", "FAILED", 192))
    events = [
        decode(orjson.dumps(frames.transition(before, after, occurred=SINCE + timedelta(seconds=at))))
        for before, after, at in moves
    ]
    await store.append("default", events, net=Net.LIVE)
    app = Starlette(routes=[Route("/api/logs/filter", logs.answer, methods=["POST"])])
    facts: list[RunFacts] = []
    async with Serving(app) as serving:

        def make(**settings: Any) -> RunFacts:
            given = {"api_url": f"{serving.url}/api", "proxy": "none", **settings}
            facts.append(RunFacts(config.only(**given), store, Instruments()))
            return facts[-1]

        yield make
        for each in facts:
            await each.close()
    await store.close()


async def test_the_last_lines_and_how_long_it_took_are_told(made: Callable[..., RunFacts], logs: Logs) -> None:
    assert await made().of(an_alert(), 3) == RunDetails(
        timedelta(seconds=192),
        ("02:03:46 ERROR Traceback", "  boom", "02:03:46 ERROR password=hunter2"),
    )
    (asked,) = logs.asked
    assert asked["logs"] == {"flow_run_id": {"any_": [str(frames.RUN)]}}
    assert (asked["sort"], asked["limit"]) == ("TIMESTAMP_DESC", 3)


async def test_what_must_not_leave_does_not_leave_in_a_log(made: Callable[..., RunFacts], logs: Logs) -> None:
    masked = await made(redact={"mask": ["password=\\S+"]}).of(an_alert(), 1)
    assert masked.lines == ("02:03:46 ERROR ***",)
    assert (await made(redact={"drop": ["message"]}).of(an_alert(), 1)).lines == ()
    assert len(logs.asked) == 1


async def test_no_lines_are_asked_for_where_none_are_wanted(made: Callable[..., RunFacts], logs: Logs) -> None:
    assert await made().of(an_alert(), 0) == RunDetails(timedelta(seconds=192))
    assert logs.asked == []


async def test_a_server_that_fails_is_not_asked_again_for_a_while(made: Callable[..., RunFacts], logs: Logs) -> None:
    logs.status = 500
    facts = made()
    for _ in range(2):
        assert await facts.of(an_alert(), 5) == RunDetails(timedelta(seconds=192))
    assert len(logs.asked) == 1


async def test_a_server_that_is_slow_is_not_waited_for(
    made: Callable[..., RunFacts], logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_facts, "SECONDS", 0.2)
    logs.wait = 20
    async with asyncio.timeout(5):
        assert (await made().of(an_alert(), 5)).lines == ()


async def test_a_server_that_is_not_there_or_talks_nonsense_is_no_error(made: Callable[..., RunFacts]) -> None:
    for url in ("http://127.0.0.1:9/api", "http://127.0.0.1:9/nothing"):
        assert (await made(api_url=url).of(an_alert(), 5)).lines == ()


async def test_of_a_run_that_nobody_knows_and_of_no_run_there_is_nothing_to_tell(made: Callable[..., RunFacts]) -> None:
    unknown = an_alert(run=UUID(int=7))
    assert (await made().of(unknown, 0)) == NO_DETAILS
    other = decode(
        orjson.dumps(frames.event("prefect.work-pool.ready", {"prefect.resource.id": "prefect.work-pool.x"}))
    )
    assert await made().of(Record(1, "default", other), 5) == NO_DETAILS
