"""What a service answers with, between one role and the next."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from streamer import front as fronts
from streamer.front import Front


class App:
    """An app that says its name, once it is let."""

    def __init__(self, name: str) -> None:
        self.let = asyncio.Event()
        self.asked = asyncio.Event()
        self._name = name

    async def answer(self, _: Request) -> Response:
        self.asked.set()
        await self.let.wait()
        return PlainTextResponse(self._name)

    @property
    def asgi(self) -> Starlette:
        return Starlette(routes=[Route("/", self.answer)])


@pytest.fixture
def front() -> Front:
    return Front()


@pytest.fixture
async def http(front: Front) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(front), base_url="http://streamer") as client:
        yield client


async def test_what_is_asked_while_there_is_no_app_waits_for_the_next(front: Front, http: httpx.AsyncClient) -> None:
    one, other = App("one"), App("other")
    for app in (one, other):
        app.let.set()
    async with front.showing(one.asgi):
        assert (await http.get("/")).text == "one"
    asking = asyncio.create_task(http.get("/"))
    await asyncio.sleep(0)
    assert not asking.done()
    async with front.showing(other.asgi):
        assert (await asking).text == "other"


async def test_what_was_asked_before_is_still_answered(front: Front, http: httpx.AsyncClient) -> None:
    app = App("one")
    async with front.showing(app.asgi):
        asking = asyncio.create_task(http.get("/"))
        await app.asked.wait()
        asyncio.get_running_loop().call_later(0.05, app.let.set)
    assert asking.done()
    assert asking.result().text == "one"


async def test_what_takes_too_long_to_answer_is_not_waited_for(
    front: Front, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fronts, "LEAVE_SECONDS", 0.05)
    app = App("one")
    async with front.showing(app.asgi):
        asking = asyncio.create_task(http.get("/"))
        await app.asked.wait()
    assert not asking.done()
    app.let.set()
    await asking


async def test_nobody_waits_for_a_service_that_has_stopped(front: Front, http: httpx.AsyncClient) -> None:
    asking = asyncio.create_task(http.get("/"))
    await asyncio.sleep(0)
    front.close()
    answer = await asking
    assert (answer.status_code, answer.json()["detail"]) == (503, "the service has stopped")
