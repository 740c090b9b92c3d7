"""A Prefect server's event API in this process: as honest as the real one, until it is told to misbehave.

It answers `/api/events/out`, `/api/events/filter` (with `/next`) and `/api/csrf-token` as Prefect 3.8 does.
"""

import asyncio
import base64
import secrets
import socket
from collections.abc import Iterable
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Self

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

PAGE_SIZE = 50


class FakePrefect:
    """`async with FakePrefect() as server:` — its API is at `server.api_url`.

    `auth_string` and `csrf` switch on what the real server calls so, `api_key` what Prefect Cloud wants, and `tls` is
    a certificate's and a key's file. To make it misbehave, set `upgrade_status` (the
    websocket is refused with it) or `clock_ahead`, or add to `rest_failures` (each answers one request instead).
    """

    def __init__(
        self,
        *,
        auth_string: str | None = None,
        api_key: str | None = None,
        csrf: bool = False,
        tls: tuple[str, str] | None = None,
    ) -> None:
        self.auth_string = auth_string
        self.api_key = api_key
        self.csrf = csrf
        self.clock_ahead = timedelta()
        self.upgrade_status: int | None = None
        self.rest_failures: list[Response] = []
        self.events: list[dict[str, Any]] = []
        self.requests: list[str] = []
        self.filters: list[dict[str, Any]] = []
        self.connections = 0
        self._subscribers: set[asyncio.Queue[bytes | int]] = set()
        self._csrf_tokens: dict[str, str] = {}
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._tls: dict[str, Any] = {"ssl_certfile": tls[0], "ssl_keyfile": tls[1]} if tls else {}
        self.api_url = f"{'https' if tls else 'http'}://127.0.0.1:{self._socket.getsockname()[1]}/api"

    async def __aenter__(self) -> Self:
        config = uvicorn.Config(self._app(), log_config=None, lifespan="off", date_header=False, **self._tls)
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        return self

    async def __aexit__(self, *_: object) -> None:
        self.disconnect(1012)
        self._server.leave()
        await self._serving
        self._socket.close()

    @property
    def subscribers(self) -> int:
        """Return how many websockets are subscribed now."""
        return len(self._subscribers)

    def publish(self, *events: dict[str, Any], live: bool = True, stored: bool = True) -> None:
        """Let events happen; without `live` no websocket hears of them, without `stored` REST does not know them."""
        self.events.extend(events if stored else ())
        for event in events if live else ():
            self.send(orjson.dumps({"type": "event", "event": event}))

    def send(self, message: bytes) -> None:
        """Send any bytes to all subscribers."""
        for queue in self._subscribers:
            queue.put_nowait(message)

    def disconnect(self, code: int) -> None:
        """Close all websockets with this code."""
        for queue in self._subscribers:
            queue.put_nowait(code)

    def _app(self) -> Starlette:
        return Starlette(
            routes=[
                WebSocketRoute("/api/events/out", self._events_out),
                Route("/api/events/filter", self._filter, methods=["POST"]),
                Route("/api/events/filter/next", self._next),
                Route("/api/csrf-token", self._csrf_token),
            ]
        )

    async def _events_out(self, websocket: WebSocket) -> None:
        bearer = websocket.headers.get("authorization") == f"Bearer {self.api_key}"
        if status := self.upgrade_status or (403 if self.api_key and not bearer else None):
            await websocket.send_denial_response(Response(status_code=status))
            return
        await websocket.accept(subprotocol="prefect")
        try:
            auth = await websocket.receive_json()
            if (wanted := self.api_key or self.auth_string) and auth.get("token") != wanted:
                await websocket.close(1008, "Invalid token")
                return
            await websocket.send_json({"type": "auth_success"})
            self.filters.append(await websocket.receive_json())
            await self._stream(websocket)
        except WebSocketDisconnect:
            return

    async def _stream(self, websocket: WebSocket) -> None:
        queue: asyncio.Queue[bytes | int] = asyncio.Queue()
        self._subscribers.add(queue)
        self.connections += 1
        hearing = asyncio.create_task(websocket.receive())
        try:
            while True:
                sending = asyncio.create_task(queue.get())
                await asyncio.wait((sending, hearing), return_when=asyncio.FIRST_COMPLETED)
                if not sending.done():
                    sending.cancel()
                    return
                message = sending.result()
                if isinstance(message, int):
                    await websocket.close(message)
                    return
                await websocket.send_text(message.decode(errors="surrogateescape"))
        finally:
            hearing.cancel()
            self._subscribers.discard(queue)

    async def _filter(self, request: Request) -> Response:
        self.requests.append(request.url.path)
        if refusal := self._refusal(request):
            return refusal
        body = await request.json()
        if not 0 <= body.get("limit", PAGE_SIZE) <= PAGE_SIZE:
            return Response(status_code=422)
        return self._page(body["filter"], 0, body.get("limit", PAGE_SIZE))

    async def _next(self, request: Request) -> Response:
        self.requests.append(request.url.path)
        if refusal := self._refusal(request):
            return refusal
        token = orjson.loads(base64.b64decode(request.query_params["page-token"]))
        return self._page(token["filter"], token["offset"], PAGE_SIZE)

    def _page(self, wanted: dict[str, Any], offset: int, limit: int) -> Response:
        """Answer as Prefect does: the next page is found by offset, and its address is not to be trusted."""
        newest_first = wanted.get("order", "DESC") == "DESC"
        found = sorted(self._matching(wanted), key=lambda event: event["occurred"], reverse=newest_first)
        following = offset + limit
        token = base64.urlsafe_b64encode(orjson.dumps({"filter": wanted, "offset": following})).decode()
        address = f"http://elsewhere.invalid/api/events/filter/next?page-token={token}"
        page: dict[str, Any] = {"events": found[offset:following], "total": len(found)}
        page["next_page"] = address if following < len(found) or limit == 0 else None
        date = format_datetime(datetime.now(UTC) + self.clock_ahead, usegmt=True)
        return JSONResponse(page, headers={"Date": date})

    def _matching(self, wanted: dict[str, Any]) -> Iterable[dict[str, Any]]:
        names, occurred, ids = wanted.get("event", {}), wanted["occurred"], wanted.get("id", {}).get("id")
        for event in self.events:
            if (
                event["event"].startswith(tuple(names.get("prefix", [""])))
                and event["event"] not in names.get("exclude_name", ())
                and (ids is None or event["id"] in ids)
                and occurred["since"] <= event["occurred"] <= occurred["until"]
            ):
                yield event

    def _refusal(self, request: Request) -> Response | None:
        if self.rest_failures:
            return self.rest_failures.pop(0)
        if self.csrf and request.method == "POST":
            client = request.headers.get("prefect-csrf-client", "")
            if self._csrf_tokens.get(client, "none") != request.headers.get("prefect-csrf-token"):
                return JSONResponse({"detail": "Missing CSRF token."}, 403)
        if self._wanted_header() not in (None, request.headers.get("authorization")):
            return JSONResponse({"exception_message": "Unauthorized"}, 401)
        return None

    def _wanted_header(self) -> str | None:
        if self.api_key:
            return f"Bearer {self.api_key}"
        if self.auth_string:
            return "Basic " + base64.b64encode(self.auth_string.encode()).decode()
        return None

    async def _csrf_token(self, request: Request) -> Response:
        client = request.query_params["client"]
        self._csrf_tokens[client] = secrets.token_hex(8)
        return JSONResponse({"token": self._csrf_tokens[client], "client": client})


class _Server(uvicorn.Server):
    """Uvicorn that leaves at once, and whose signals are the test's."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._leaving = asyncio.Event()

    def capture_signals(self) -> Any:
        return nullcontext()

    async def main_loop(self) -> None:
        await self._leaving.wait()

    def leave(self) -> None:
        self.force_exit = True
        self._leaving.set()
