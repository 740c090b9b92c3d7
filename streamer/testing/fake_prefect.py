"""A Prefect server in this process: as honest as the real one, until it is told to misbehave.

It answers `/api/events/out`, `/api/events/filter` (with `/next`) and `/api/csrf-token`, and what there is about runs,
their states, and the names of flows and deployments, as Prefect 3.8 does.
"""

import asyncio
import base64
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Self

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from streamer.testing.event_pages import PAGE_SIZE, address, page, place_of
from streamer.testing.events import an_event
from streamer.testing.faults import ABNORMAL, Faults
from streamer.testing.run_tables import Answer, RunTables
from streamer.testing.serving import Serving


class FakePrefect:
    """`async with FakePrefect() as server:` — its API is at `server.api_url`.

    `auth_string` and `csrf` switch on what the real server calls so, `api_key` what Prefect Cloud wants, and `tls` is
    a certificate's and a key's file. To make it misbehave, set `upgrade_status` (the websocket is refused with it) or
    `clock_ahead`, add to `rest_failures` (each answers one request instead), or give it `Faults(seed)`.
    What was published is in `events` as far as REST has it, and in `tables` whatever became of the event; what others
    posted is in `posted`.
    """

    def __init__(
        self,
        *,
        auth_string: str | None = None,
        api_key: str | None = None,
        csrf: bool = False,
        tls: tuple[str, str] | None = None,
        faults: Faults | None = None,
    ) -> None:
        self.auth_string = auth_string
        self.api_key = api_key
        self.csrf = csrf
        self.clock_ahead = timedelta()
        self.upgrade_status: int | None = None
        self.rest_failures: list[Response] = []
        self.faults = faults or Faults(share=0)
        self.events: list[dict[str, Any]] = []
        self.tables = RunTables()
        self.posted: list[dict[str, Any]] = []
        self.retention = timedelta(days=7)
        self.requests: list[str] = []
        self.filters: list[dict[str, Any]] = []
        self.connections = 0
        self._subscribers: set[asyncio.Queue[bytes | int]] = set()
        self._csrf_tokens: dict[str, str] = {}
        self._serving = Serving(self._app(), tls=tls)
        self.api_url = f"{self._serving.url}/api"

    async def __aenter__(self) -> Self:
        await self._serving.__aenter__()
        return self

    async def __aexit__(self, *raised: object) -> None:
        self.disconnect(1012)
        await self._serving.__aexit__(*raised)

    @property
    def subscribers(self) -> int:
        """Return how many websockets are subscribed now."""
        return len(self._subscribers)

    def publish(
        self, *events: dict[str, Any], live: bool = True, stored: bool = True, rolled_back: bool = False
    ) -> None:
        """Let events happen; without `live` no websocket hears of them, without `stored` REST does not know them.

        The tables have the states that they announce in any case, unless these were `rolled_back`.
        """
        for event in events:
            if not rolled_back:
                self.tables.enter(event)
            if stored and (seconds := self.faults.lateness(event["id"])) is not None:
                self._in(seconds, self.events.append, event)
            if live:
                self.send(orjson.dumps({"type": "event", "event": event}))

    def send(self, message: bytes) -> None:
        """Send any bytes to all subscribers."""
        for seconds, delivered in self.faults.deliveries(message):
            self._in(seconds, self._deliver, delivered)

    def _deliver(self, message: bytes | int) -> None:
        for queue in self._subscribers:
            queue.put_nowait(message)

    def _in(self, seconds: float, do: Callable[[Any], None], what: object) -> None:
        if seconds:
            asyncio.get_running_loop().call_later(seconds, do, what)
        else:
            do(what)

    def disconnect(self, code: int) -> None:
        """Close all websockets with this code; with 1006 they end without a word."""
        self._deliver(code)

    def _app(self) -> Starlette:
        tables = self.tables.endpoints()
        return Starlette(
            routes=[
                WebSocketRoute("/api/events/out", self._events_out),
                Route("/api/events/filter", self._answering(self._filter), methods=["POST"]),
                Route("/api/events/filter/next", self._answering(self._next)),
                *(Route(path, self._answering(answer), methods=[method]) for method, path, answer in tables),
                Route("/api/flow_runs/{run}/set_state", self._answering(self._set_state), methods=["POST"]),
                Route("/api/events", self._answering(self._take_events), methods=["POST"]),
                Route("/api/admin/settings", self._answering(self._settings)),
                Route("/api/csrf-token", self._csrf_token),
            ]
        )

    def _answering(self, answer: Answer) -> Answer:
        """Return what answers requests that are allowed, with whatever misfortune befalls the answer."""

        async def endpoint(request: Request) -> Response:
            self.requests.append(request.url.path)
            return self._refusal(request) or await self.faults.answer(await answer(request))

        return endpoint

    async def _events_out(self, websocket: WebSocket) -> None:
        bearer = websocket.headers.get("authorization") == f"Bearer {self.api_key}"
        if status := self.upgrade_status or (403 if self.api_key and not bearer else self.faults.refusal()):
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
        hearing.add_done_callback(lambda _: queue.put_nowait(ABNORMAL))
        try:
            while isinstance(message := await queue.get(), bytes):
                await websocket.send_text(message.decode(errors="replace"))
            if message != ABNORMAL:
                await websocket.close(message)
        finally:
            hearing.cancel()
            self._subscribers.discard(queue)

    async def _filter(self, request: Request) -> Response:
        body = await request.json()
        limit = body.get("limit", PAGE_SIZE)
        return self._page(body["filter"], 0, limit) if 0 <= limit <= PAGE_SIZE else Response(status_code=422)

    async def _next(self, request: Request) -> Response:
        return self._page(*place_of(request.query_params["page-token"]), PAGE_SIZE)

    def _page(self, wanted: dict[str, Any], offset: int, limit: int) -> Response:
        found = page(self.events, wanted, offset=offset, limit=limit)
        date = format_datetime(datetime.now(UTC) + self.clock_ahead, usegmt=True)
        return JSONResponse(self.faults.page(found, itself=address(wanted, offset)), headers={"Date": date})

    async def _set_state(self, request: Request) -> Response:
        """Let a run enter a state; an end that is not forced is refused to what has ended."""
        body, run = await request.json(), self.tables.runs.get(request.path_params["run"])
        if run is None:
            return Response(status_code=404)
        if run["end_time"] and not body["force"]:
            return JSONResponse({"status": "ABORT"})
        self.publish(
            an_event(run=run["id"], before=run["state_type"], after=body["state"]["type"], follows=run["state_id"])
        )
        return JSONResponse({"status": "ACCEPT"}, 201)

    async def _take_events(self, request: Request) -> Response:
        self.posted += await request.json()
        return Response(status_code=204)

    async def _settings(self, _: Request) -> Response:
        retention = f"P{self.retention.days}D"
        return JSONResponse({"server": {"events": {"retention_period": retention}}})

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
