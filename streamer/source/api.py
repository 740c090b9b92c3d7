"""The server's REST API: authorisation, CSRF, pressure, and only ever our own base URL.

Every failure comes out as one of three: `AuthenticationFailed`, `RequestRefused`, `ConnectionLost` (try again).
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from typing import Any
from uuid import uuid4

import httpx
import orjson
from aiolimiter import AsyncLimiter
from pydantic import BaseModel, ValidationError

from schemas.messages import FAR_FUTURE, flow_run_filter
from streamer.clock import ServerClock
from streamer.errors import AuthenticationFailed, ConfigError, ConnectionLost, RequestRefused
from streamer.instruments import Instruments
from streamer.protocol import is_fatal_status, is_retryable_status, retry_after_seconds
from streamer.source.connection import Connection

TIMEOUT = httpx.Timeout(30, connect=10)

PER_MINUTE = 3_000
PER_MINUTE_CLOUD = 300
"""Prefect Cloud counts an account's requests, 625 a minute in the smallest plan (prefect.md 92)."""

SLOW_SECONDS = 1.0

UNREACHED_HINT = "is the server running, and is api_url right, https or http included? It usually ends in /api"

AUTH_HINT = "check PREFECT_API_KEY (Cloud) or PREFECT_API_AUTH_STRING (self-hosted), then run `streamer check`"


class Page(BaseModel):
    """An answer of `/events/filter`: `total` matching events, of which these are the next."""

    events: list[dict[str, Any]]
    total: int
    next_page: str | None = None

    @property
    def token(self) -> str | None:
        """Return the page token; the address around it is the server's idea of itself, not to be followed (43)."""
        try:
            token: str | None = httpx.URL(self.next_page or "").params.get("page-token")
        except httpx.InvalidURL:
            return None
        return token


class Authorisation(httpx.Auth):
    """Send the credentials, and fetch a CSRF token when the server asks for one (prefect.md 13)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._csrf = {"Prefect-Csrf-Client": str(uuid4())}

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Send the request; after `403 … CSRF …` once more, with a fresh token."""
        request.headers.update({**self._connection.all_headers(), **self._csrf})
        response = yield request
        if response.status_code == 403 and b"CSRF" in await response.aread():
            answer = yield self._token_request()
            if answer.status_code == 200 and (token := _token_in(await answer.aread())):
                self._csrf["Prefect-Csrf-Token"] = token
                request.headers.update(self._csrf)
                yield request

    def _token_request(self) -> httpx.Request:
        client = self._csrf["Prefect-Csrf-Client"]
        url = f"{self._connection.api_url}/csrf-token"
        return httpx.Request("GET", url, params={"client": client}, headers=self._connection.all_headers())


class Api:
    """One server's REST API, asked at most `per_minute` times. Use as an async context manager, or `close` it."""

    def __init__(
        self, connection: Connection, clock: ServerClock, instruments: Instruments, *, per_minute: int = PER_MINUTE
    ) -> None:
        self.connection = connection
        self.clock = clock
        self._instruments = instruments
        self._answered = False
        self._budget = AsyncLimiter(per_minute)
        self._not_before = 0.0
        self._client = httpx.AsyncClient(
            auth=Authorisation(connection),
            verify=connection.tls or True,
            proxy=connection.proxy,
            trust_env=connection.trust_proxy_environment,
            timeout=TIMEOUT,
            headers={"User-Agent": "prefect-streamer"},
        )

    async def __aenter__(self) -> "Api":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def hello(self) -> None:
        """Ask for one event: sets the clock, and fails now if credentials or filter are refused (prefect.md 5)."""
        now = self.clock.now()
        occurred = {"since": now.isoformat(), "until": (now + FAR_FUTURE).isoformat()}
        await self.events({"filter": flow_run_filter(occurred), "limit": 1})

    async def events(self, body: Mapping[str, Any]) -> Page:
        """Return the first page of a query for events."""
        return _page(await self.request("POST", "/events/filter", json=body))

    async def events_page(self, token: str) -> Page:
        """Return the page that a token of the page before leads to; a refused token is worth a new query (46)."""
        try:
            return _page(await self.request("GET", "/events/filter/next", params={"page-token": token}))
        except AuthenticationFailed as error:
            raise ConnectionLost("the server refused its own page token") from error

    async def request(self, method: str, endpoint: str, **content: Any) -> bytes:
        """Return the body of a successful answer; `endpoint` is the path below the API's URL."""
        await self._budget.acquire()
        await asyncio.sleep(self._not_before - time.perf_counter())
        start = time.perf_counter()
        code = "none"
        try:
            async with self._client.stream(method, self.connection.api_url + endpoint, **content) as response:
                code = str(response.status_code)
                body = b"".join([part async for part in response.aiter_bytes()])  # httpx would keep it, in a circle
        except httpx.HTTPError as error:
            said = str(error) or type(error).__name__
            raise ConnectionLost(f"{self.connection.api_url}: {said}", UNREACHED_HINT) from error
        except (httpx.InvalidURL, ValueError, OverflowError) as error:
            raise RequestRefused(f"{self.connection.api_url} cannot be asked: {error}", "is api_url right?") from error
        except ConfigError as error:  # a secret's file, such as one that is being replaced
            if self._answered:
                raise ConnectionLost(str(error), error.hint) from error
            raise
        finally:
            end = time.perf_counter()
            self._instruments.api_requests.labels(endpoint, code).inc()
            self._instruments.api_duration.labels(endpoint, code).observe(end - start)
            if end - start > SLOW_SECONDS:
                self._not_before = end + (end - start)  # a server under pressure gets as much rest as it took
        _require_success(response, body)
        self._answered = True
        self.clock.observe(response.headers.get("date"))
        return body


def _token_in(answer: bytes) -> str | None:
    try:
        return str(orjson.loads(answer)["token"])
    except (ValueError, KeyError, TypeError):
        return None


def _require_success(response: httpx.Response, body: bytes) -> None:
    status, where = response.status_code, f"{response.request.method} {response.request.url}"
    if response.is_success:
        return
    if is_fatal_status(status):
        raise AuthenticationFailed(f"the server refused our credentials: {status} for {where}", AUTH_HINT)
    if is_retryable_status(status):
        after = retry_after_seconds(response.headers.get("retry-after"))
        raise ConnectionLost(f"the server answered {status} to {where}", after=after)
    hint = "is the API's URL right? It usually ends in /api" if status < 400 or status == 404 else None
    raise RequestRefused(f"the server answered {status} to {where}: {body.decode(errors='replace')[:300]}", hint)


def _page(body: bytes) -> Page:
    try:
        return Page.model_validate(orjson.loads(body))
    except (orjson.JSONDecodeError, ValidationError) as error:
        raise ConnectionLost(f"the server answered with something that is no page of events: {body[:80]!r}") from error
