import asyncio
import socket
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from streamer.clock import ServerClock
from streamer.errors import AuthenticationFailed, ConnectionLost, RequestRefused
from streamer.instruments import Instruments
from streamer.protocol import Position
from streamer.source.api import Api, Page
from streamer.source.connection import Connection
from streamer.testing import FakePrefect, an_event

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def body() -> dict[str, object]:
    return Position(LONG_AGO, datetime.now(UTC)).body()


@pytest.fixture
async def guarded(clock: ServerClock) -> AsyncIterator[tuple[FakePrefect, Api]]:
    """A server that wants a password and CSRF tokens, and an API that has the password."""
    async with FakePrefect(auth_string="admin:pässword", csrf=True) as server:
        connection = Connection(server.api_url, auth_string=lambda: "admin:pässword")
        async with Api(connection, clock, Instruments()) as api:
            yield server, api


async def test_events_come_oldest_first_with_their_total(server: FakePrefect, api: Api) -> None:
    server.publish(an_event(occurred=LONG_AGO + timedelta(days=2)), an_event(occurred=LONG_AGO + timedelta(days=1)))
    page = await api.events(body())
    assert page.total == 2
    assert [event["occurred"][:10] for event in page.events] == ["2020-01-02", "2020-01-03"]


async def test_csrf_token_is_fetched_when_asked_for_and_kept(guarded: tuple[FakePrefect, Api]) -> None:
    server, api = guarded
    server.publish(an_event())
    assert (await api.events(body())).total == 1
    assert (await api.events(body())).total == 1
    assert len(server.requests) == 3, "one was refused for want of a token, none after that"


async def test_wrong_password_is_an_authentication_failure_with_a_hint(clock: ServerClock) -> None:
    async with FakePrefect(auth_string="admin:right") as server:
        connection = Connection(server.api_url, auth_string=lambda: "admin:wrong")
        async with Api(connection, clock, Instruments()) as api:
            with pytest.raises(AuthenticationFailed, match="401") as caught:
                await api.hello()
    assert "PREFECT_API_AUTH_STRING" in (caught.value.hint or "")
    assert "wrong" not in str(caught.value)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_pressure_and_server_faults_are_to_be_tried_again(server: FakePrefect, api: Api, status: int) -> None:
    server.rest_failures.append(Response(status_code=status, headers={"Retry-After": "7"}))
    with pytest.raises(ConnectionLost, match=str(status)) as caught:
        await api.events(body())
    assert caught.value.after == 7


@pytest.mark.parametrize(
    "answer",
    [HTMLResponse("<html>welcome</html>"), JSONResponse({"events": "none"}), JSONResponse([]), Response(b"\xff\xfe")],
)
async def test_answer_that_is_no_page_is_to_be_tried_again(server: FakePrefect, api: Api, answer: Response) -> None:
    server.rest_failures.append(answer)
    with pytest.raises(ConnectionLost, match="no page of events"):
        await api.events(body())


async def test_refused_filter_is_said_with_the_servers_reason(server: FakePrefect, api: Api) -> None:
    server.rest_failures.append(JSONResponse({"detail": "extra_forbidden"}, 422))
    with pytest.raises(RequestRefused, match="extra_forbidden"):
        await api.events(body())


async def test_redirect_is_not_followed(server: FakePrefect, api: Api) -> None:
    server.rest_failures.append(RedirectResponse("http://elsewhere.invalid/api"))
    with pytest.raises(RequestRefused) as caught:
        await api.events(body())
    assert "/api" in (caught.value.hint or "")


async def test_nobody_listening_is_to_be_tried_again(clock: ServerClock) -> None:
    async with Api(Connection("http://127.0.0.1:9/api"), clock, Instruments()) as api:
        with pytest.raises(ConnectionLost, match=r"127\.0\.0\.1:9"):
            await api.hello()


async def test_a_failure_without_a_word_is_told_by_its_name(
    clock: ServerClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamer.source.api.TIMEOUT", httpx.Timeout(5, read=0.05))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/api"
        async with Api(Connection(url), clock, Instruments()) as api:
            with pytest.raises(ConnectionLost) as caught:
                await api.hello()
    assert str(caught.value) == f"{url}: ReadTimeout"


async def test_refused_page_token_is_to_be_tried_again(server: FakePrefect, api: Api) -> None:
    server.rest_failures.append(Response(status_code=403))
    with pytest.raises(ConnectionLost, match="page token"):
        await api.events_page("stale")


def test_page_token_is_taken_and_the_address_around_it_is_not() -> None:
    page = Page(events=[], total=1, next_page="http://evil.example/api/events/filter/next?page-token=abc%3D")
    assert page.token == "abc="


async def test_requests_are_counted_by_endpoint_and_code(server: FakePrefect, clock: ServerClock) -> None:
    instruments = Instruments()
    async with Api(Connection(server.api_url), clock, instruments) as api:
        await api.hello()
    labels = {"endpoint": "/events/filter", "code": "200"}
    assert instruments.registry.get_sample_value("prefect_streamer_api_requests_total", labels) == 1


async def test_server_clock_follows_the_date_of_answers(server: FakePrefect, api: Api) -> None:
    server.clock_ahead = timedelta(days=1000)
    await api.hello()
    assert timedelta(days=999) < api.clock.now() - datetime.now(UTC) < timedelta(days=1001)


def test_every_request_carries_the_custom_headers() -> None:
    connection = Connection("http://server/api", api_key=lambda: "pnu_1", headers={"CF-Access": "x"})
    assert connection.all_headers() == {"CF-Access": "x", "Authorization": "Bearer pnu_1"}
    assert httpx.Headers(connection.all_headers())["cf-access"] == "x"


async def test_requests_beyond_the_budget_wait_for_their_turn(server: FakePrefect, clock: ServerClock) -> None:
    async with Api(Connection(server.api_url), clock, Instruments(), per_minute=60) as api:
        start = time.monotonic()
        for _ in range(60):
            await api.hello()
        assert time.monotonic() - start < 30, "a burst within the budget does not wait"
        start = time.monotonic()
        await api.hello()
        await api.hello()
        assert time.monotonic() - start > 0.5, "one a second is what is left"


async def test_server_that_answers_slowly_has_as_much_rest_as_it_took(
    server: FakePrefect, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamer.source.api.SLOW_SECONDS", 0.2)
    answered: list[float] = []

    class Slow(Response):
        async def __call__(self, *scope: Any) -> None:
            await asyncio.sleep(0.5)
            await super().__call__(*scope)
            answered.append(time.monotonic())

    server.rest_failures.append(Slow(b'{"events": [], "total": 0}', media_type="application/json"))
    await api.hello()
    await api.hello()
    assert time.monotonic() - answered[0] > 0.4
