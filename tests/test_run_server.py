"""The Prefect server asked on behalf of others: what it answers, and that it is never waited for in vain."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from streamer import config, run_server
from streamer.errors import ConnectionLost, RequestRefused
from streamer.instruments import Instruments
from streamer.run_server import RunServer
from streamer.testing.serving import Serving

RUN = uuid4()
LINE = {"level": 40, "message": "boom", "name": "prefect", "timestamp": "2026-11-21T12:00:00Z"}
LINE |= {"id": str(UUID(int=1)), "created": None, "flow_run_id": str(RUN), "task_run_id": str(UUID(int=2))}
TASK_RUN = {"id": str(UUID(int=2)), "name": "step-0", "task_key": "step", "dynamic_key": "0", "estimated_run_time": 0}


class Prefect:
    """The part of the API that is asked; `answer` is what it says, once it is not `held` up any more."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answer: Callable[[], Response] = lambda: JSONResponse([])
        self.held = asyncio.Event()
        self.held.set()

    async def __call__(self, request: Request) -> Response:
        self.asked.append(await request.json())
        await self.held.wait()
        return self.answer()


async def unknown(_: UUID) -> None:
    """Find no run."""


@asynccontextmanager
async def asking(prefect: Prefect, **settings: Any) -> AsyncIterator[RunServer]:
    paths = ("/api/logs/filter", "/api/task_runs/filter")
    app = Starlette(routes=[Route(path, prefect.__call__, methods=["POST"]) for path in paths])
    async with Serving(app) as serving:
        given = config.only(api_url=f"{serving.url}/api", proxy="none", **settings)
        server = RunServer(given, unknown, Instruments())
        try:
            yield server
        finally:
            prefect.held.set()
            await server.aclose()


async def test_lines_are_told_oldest_first_and_by_parts() -> None:
    prefect = Prefect()
    prefect.answer = lambda: JSONResponse([LINE])
    async with asking(prefect) as server:
        (line,) = await server.logs(RUN, offset=400, limit=3)
    assert (line.message, line.level, line.task_run_id) == ("boom", 40, UUID(int=2))
    assert prefect.asked == [
        {"logs": {"flow_run_id": {"any_": [str(RUN)]}}, "sort": "TIMESTAMP_ASC", "offset": 400, "limit": 3}
    ]


async def test_task_runs_are_told_of_the_run_alone() -> None:
    prefect = Prefect()
    prefect.answer = lambda: JSONResponse([TASK_RUN])
    async with asking(prefect) as server:
        (task_run,) = await server.task_runs(RUN, offset=0, limit=200)
    assert (task_run.name, task_run.state, task_run.total_run_time) == ("step-0", None, 0)
    assert prefect.asked[0]["flow_runs"] == {"id": {"any_": [str(RUN)]}}


@pytest.mark.parametrize("said", ["{}", "nothing", '[{"id": 1}]'])
async def test_what_was_not_asked_for_is_as_no_answer(said: str) -> None:
    prefect = Prefect()
    prefect.answer = lambda: Response(said)
    async with asking(prefect) as server:
        with pytest.raises(ConnectionLost, match="not asked for"):
            await server.logs(RUN, offset=0, limit=1)


async def test_what_is_refused_is_said() -> None:
    prefect = Prefect()
    prefect.answer = lambda: Response(status_code=422)
    async with asking(prefect) as server:
        with pytest.raises(RequestRefused):
            await server.logs(RUN, offset=0, limit=1)


async def test_a_server_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_server, "SECONDS", 0.05)
    prefect = Prefect()
    prefect.held.clear()
    async with asking(prefect) as server:
        with pytest.raises(ConnectionLost, match="did not answer within"):
            await server.task_runs(RUN, offset=0, limit=1)


async def test_a_secret_that_cannot_be_read_is_said_and_read_again(tmp_path: Path) -> None:
    file = tmp_path / "key"
    async with asking(Prefect(), api_key_file=str(file)) as server:
        with pytest.raises(ConnectionLost, match="cannot read api_key_file"):
            await server.logs(RUN, offset=0, limit=1)
        file.write_text("secret")
        assert list(await server.logs(RUN, offset=0, limit=1)) == []


async def test_one_that_was_never_asked_closes() -> None:
    async with asking(Prefect()):
        pass
