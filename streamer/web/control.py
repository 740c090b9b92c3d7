"""Commands to a running service, for whoever has its token, or can read the one in the store's lock file."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from streamer.errors import StreamerError
from streamer.web.guard import Guard
from streamer.web.problems import Refusal

Commands = Mapping[str, Callable[..., Awaitable[Mapping[str, Any]]]]
"""By name, what can be done; arguments are keywords, answers are JSON."""


def routes(guard: Guard, commands: Commands) -> list[Route]:
    """Return `POST /api/control/<name>` for each command; arguments are a JSON object."""
    return [_route(guard, name, command) for name, command in commands.items()]


def _route(guard: Guard, name: str, command: Callable[..., Awaitable[Mapping[str, Any]]]) -> Route:
    async def act(request: Request) -> Response:
        if not guard.lets_command(request.headers):
            raise Refusal(403, "commands need the token", hint="it is in the store's lock file, or set as access.token")
        try:
            return JSONResponse(await command(**await request.json()))
        except (TypeError, ValueError) as error:
            raise Refusal(400, f"these are no arguments of {name}: {error}") from None
        except StreamerError as error:
            raise Refusal(409, str(error), hint=error.hint) from error

    return Route(f"/api/control/{name}", act, methods=["POST"])
