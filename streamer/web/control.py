"""Commands to a running service, for whoever can read the token in the store's lock file."""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from streamer.errors import StreamerError

Commands = Mapping[str, Callable[..., Awaitable[Mapping[str, Any]]]]
"""By name, what can be done; arguments are keywords, answers are JSON."""


def routes(token: str, commands: Commands) -> list[Route]:
    """Return `POST /api/control/<name>` for each command; arguments are a JSON object."""
    return [_route(token, name, command) for name, command in commands.items()]


def _route(token: str, name: str, command: Callable[..., Awaitable[Mapping[str, Any]]]) -> Route:
    async def act(request: Request) -> Response:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not secrets.compare_digest(given.encode(), token.encode()):
            return JSONResponse({"error": "the token is in the store's lock file"}, 403)
        try:
            return JSONResponse(await command(**await request.json()))
        except (TypeError, ValueError) as error:
            return JSONResponse({"error": f"these are no arguments of {name}: {error}"}, 400)
        except StreamerError as error:
            return JSONResponse({"error": str(error), "hint": error.hint}, 409)

    return Route(f"/api/control/{name}", act, methods=["POST"])
