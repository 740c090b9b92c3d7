"""What a service answers with: one app after another, as it comes to lead or to stand by."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from starlette.types import ASGIApp, Receive, Scope, Send

from streamer.web import problems

LEAVE_SECONDS = 1.0


class Front:
    """An ASGI app that passes questions on to the one that answers now; while there is none, they wait."""

    def __init__(self) -> None:
        self._app: ASGIApp | None = None
        self._opened, self._idle = asyncio.Event(), asyncio.Event()
        self._idle.set()
        self._asked = 0

    @asynccontextmanager
    async def showing(self, app: ASGIApp) -> AsyncIterator[None]:
        """Answer with an app for the length of the block; at its end, what was asked has a moment to be answered."""
        self._app = app
        self._opened.set()
        try:
            yield
        finally:
            self._app = None
            self._opened.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(LEAVE_SECONDS):
                    await self._idle.wait()

    def close(self) -> None:
        """Have no questions wait any more: there will be no app."""
        self._app = problems.answer(503, "the service has stopped")
        self._opened.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a question."""
        while (app := self._app) is None:
            await self._opened.wait()
        self._asked += 1
        self._idle.clear()
        try:
            await app(scope, receive, send)
        finally:
            self._asked -= 1
            if not self._asked:
                self._idle.set()
