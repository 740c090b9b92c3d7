"""The route: GraphQL over HTTP, by GET and POST; the schema is made when it is asked for first."""

import asyncio
from functools import partial

import anyio.to_thread
from starlette.requests import ClientDisconnect
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streamer.web.graphql.answering import Answering
from streamer.web.problems import Refusal

PATH = "/graphql"

BODY_MOST = 256_000
SECONDS = 15.0
"""A question may be many at once."""


class _GraphQL:
    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(SECONDS):
                await (await self._made())(scope, _limited(receive), send)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "strawberry":
                raise
            hint = "pip install 'prefect-streamer[graphql]' where the service runs"
            raise Refusal(501, "the service has no GraphQL", hint=hint) from None
        except TimeoutError:
            detail = f"the answer was not found within {SECONDS:g} s"
            raise Refusal(503, detail, hint="ask for less at once") from None
        except ClientDisconnect:
            return

    async def _made(self) -> ASGIApp:
        if self._app is None:
            self._app = await anyio.to_thread.run_sync(partial(_make, self._answering))
        return self._app


def _make(answering: Answering) -> ASGIApp:
    from streamer.web.graphql.app import GraphQLApp  # an extra, which takes half a second

    return GraphQLApp(answering)


def _limited(receive: Receive) -> Receive:
    """Return what receives a body, and refuses one that is too large as soon as it is."""
    received = 0

    async def limited() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > BODY_MOST:
            raise Refusal(413, f"a question has more than {BODY_MOST} bytes", hint="ask several, each for less")
        return message

    return limited


def route(answering: Answering) -> Route:
    """Return the route."""
    return Route(PATH, _GraphQL(answering), methods=["GET", "POST"])
