"""The live net: the server's `/events/out` websocket. It only passes on what comes; completeness is the sweep's.

The conversation (prefect.md 1): subprotocol `prefect`, our auth message, `auth_success`, our filter, then events.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Literal

import orjson
import structlog
from tenacity import AsyncRetrying, retry_if_exception_type
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from schemas.messages import auth_message, filter_message
from streamer.backoff import backoff
from streamer.clock import ServerClock
from streamer.errors import AuthenticationFailed, ConfigError, ConnectionLost
from streamer.health import SourceHealth
from streamer.model import Frame, Net, Put
from streamer.protocol import Burst, Outcome, is_fatal_close, is_fatal_status
from streamer.source.api import AUTH_HINT, UNREACHED_HINT
from streamer.source.connection import Connection

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
OPEN_SECONDS = 10
REPLY_SECONDS = 10
PING_SECONDS = 20
"""How often the server is asked for a sign of life, and how long it may take: a stalled one answers no ping."""

HELD_SECONDS = 60
"""A connection that was open this long counts as good even if no event came."""

REACH_BACK = timedelta(days=1)
"""Live events may be older than now; the server itself cuts off at 15 minutes (prefect.md 31)."""

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 30
AUTH_RETRY_SECONDS = 60

logger = structlog.get_logger(__name__)


class _Connect(connect):
    """Open a websocket; a redirect would carry our credentials to another host, so it is an error here."""

    def process_redirect(self, exc: Exception) -> Exception:
        return exc


class LiveSource:
    """The websocket of one server, reconnected for ever."""

    def __init__(
        self,
        connection: Connection,
        health: SourceHealth,
        clock: ServerClock,
        *,
        first_wait: float = FIRST_WAIT_SECONDS,
    ) -> None:
        self._connection = connection
        self._health = health
        self._clock = clock
        self._first_wait = first_wait
        self._burst = Burst()
        self._backoff = backoff(first=first_wait, longest=LONGEST_WAIT_SECONDS)

    async def run(self, put: Put) -> None:
        """Put each message as it comes. Raise `AuthenticationFailed` only if there never was a connection."""
        while True:
            retrying = AsyncRetrying(retry=retry_if_exception_type(ConnectionLost), wait=self._backoff)
            try:
                async for attempt in retrying:
                    with attempt:
                        await self._converse(put)
                await asyncio.sleep(random.uniform(0, self._first_wait))  # noqa: S311 - jitter, not a secret
            except AuthenticationFailed:
                if not self._health.ever_connected:
                    raise
                await asyncio.sleep(AUTH_RETRY_SECONDS)

    async def try_once(self) -> None:
        """Connect, subscribe and close again; raise what went wrong."""
        async with self._opened():
            self._health.open()

    async def _converse(self, put: Put) -> None:
        """Put messages until the connection ends; raise `ConnectionLost` if it was no good from the start."""
        async with self._opened() as websocket:
            self._health.open()
            logger.info("connected", source=self._health.name, url=self._connection.websocket_url)
            since, brought = self._clock.monotonic(), False
            watching = asyncio.create_task(self._close_when_stale(websocket))
            try:
                while True:
                    await put(Frame(self._health.name, Net.LIVE, await websocket.recv(decode=False)))
                    brought = True
                    if self._burst.noticed(self._clock.monotonic()):
                        self._health.burst()
            except ConnectionClosed as closed:
                self._note_closed(closed)
                if not brought and self._clock.monotonic() - since < HELD_SECONDS:
                    raise ConnectionLost(str(closed)) from closed
            finally:
                watching.cancel()

    async def _close_when_stale(self, websocket: ClientConnection) -> None:
        """Close a websocket that brings nothing while REST shows newer events: the next may be better."""
        await self._health.stale.wait()
        logger.warning(
            "the event stream is silent while REST shows newer events: reconnecting", source=self._health.name
        )
        await websocket.close()

    def _note_closed(self, closed: ConnectionClosed) -> None:
        code = closed.rcvd.code if closed.rcvd else None
        told = closed.rcvd or closed.sent  # where the server says nothing, it is we who say why
        label = "stale" if self._health.stale.is_set() else str(told.code if told else 1006)
        self._health.closed(label, f"the websocket closed: {closed}")
        logger.info("disconnected", source=self._health.name, code=code, reason=str(closed))
        if is_fatal_close(code):
            raise AuthenticationFailed(f"the server closed the event stream: {closed}", AUTH_HINT) from closed

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[ClientConnection]:
        """Hold a websocket past its handshake; failures are noted and translated."""
        async with AsyncExitStack() as stack:
            try:
                websocket = await self._connect()
                stack.push_async_callback(websocket.close)
                await self._subscribe(websocket)
            except (AuthenticationFailed, OSError, WebSocketException, ValueError, OverflowError) as error:
                raise self._translated(error) from error
            except ConfigError as error:  # a secret's file, such as one that is being replaced
                if not self._health.ever_connected:
                    raise
                raise ConnectionLost(str(error), error.hint) from error
            yield websocket

    async def _connect(self) -> ClientConnection:
        from_environment: Literal[True] | None = True if self._connection.trust_proxy_environment else None
        return await _Connect(
            self._connection.websocket_url,
            subprotocols=[Subprotocol("prefect")],
            additional_headers=self._connection.all_headers(),
            user_agent_header="prefect-streamer",
            ssl=self._connection.tls,
            proxy=self._connection.proxy or from_environment,
            max_size=MAX_MESSAGE_BYTES,
            open_timeout=OPEN_SECONDS,
            ping_interval=PING_SECONDS,
            ping_timeout=PING_SECONDS,
            close_timeout=1,
        )

    async def _subscribe(self, websocket: ClientConnection) -> None:
        await websocket.send(auth_message(self._connection.token()), text=True)
        async with asyncio.timeout(REPLY_SECONDS):
            reply = orjson.loads(await websocket.recv(decode=False))
        answer = str(reply.get("type")) if isinstance(reply, dict) else ""
        if not answer.startswith("auth"):
            raise ValueError(f"no answer to our auth message: {str(reply)[:80]}")
        if answer != "auth_success":
            raise AuthenticationFailed(f"the server answered our auth message with {reply}", AUTH_HINT)
        await websocket.send(filter_message(self._clock.now() - REACH_BACK), text=True)

    def _translated(self, error: Exception) -> Exception:
        outcome = _outcome(error)
        problem = f"{type(error).__name__}: {error}"
        if problem != self._health.problem:
            logger.warning("cannot connect", source=self._health.name, outcome=outcome, error=problem)
        self._health.failed(outcome, problem)
        if outcome is Outcome.AUTH:
            return AuthenticationFailed(f"the server refused our credentials: {error}", AUTH_HINT)
        return ConnectionLost(f"{self._connection.websocket_url}: {error}", UNREACHED_HINT)


def _outcome(error: Exception) -> Outcome:
    match error:
        case AuthenticationFailed():
            return Outcome.AUTH
        case InvalidStatus() if is_fatal_status(error.response.status_code):
            return Outcome.AUTH
        case ConnectionClosed(rcvd=received) if received and is_fatal_close(received.code):
            return Outcome.AUTH
        case TimeoutError():
            return Outcome.TIMEOUT
        case OSError() | InvalidStatus():
            return Outcome.REFUSED
        case _:
            return Outcome.PROTOCOL
