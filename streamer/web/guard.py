"""Who is let in: whoever has the token, or name and password, if these are wanted; and pages of which origins."""

import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from streamer.web import problems

OPEN_PATH = "/livez"
"""What anybody may ask: whoever restarts a service that hangs has no secret."""

Secrets = Callable[[], Collection[bytes]]
"""Asked at each request, so that a rotated secret file is seen."""


@dataclass(frozen=True, slots=True)
class Guard:
    """Whom to let in: `tokens` are bearer tokens, `basics` what follows `Basic` in the header of that authorisation.

    Where it is not `wanted` that anybody proves who they are, all are let in to ask. Commands want a token always.
    """

    tokens: Secrets
    basics: Secrets = tuple
    wanted: bool = True

    def lets_ask(self, headers: Headers) -> bool:
        """Tell whether who sent these headers may ask."""
        return not self.wanted or self.lets_command(headers) or _is_one_of(self.basics(), headers, "basic")

    def lets_command(self, headers: Headers) -> bool:
        """Tell whether who sent these headers may have something done."""
        return _is_one_of(self.tokens(), headers, "bearer")

    @property
    def challenge(self) -> dict[str, str]:
        """Return the header that says what is wanted; browsers ask for name and password where these are known."""
        basic = 'Basic realm="streamer", charset="UTF-8", ' if self.basics() else ""
        return {"WWW-Authenticate": f'{basic}Bearer realm="streamer"'}


def middleware(guard: Guard, origins: Sequence[str] = ()) -> list[Middleware]:
    """Return what stands before the app; a browser's question whether a page may ask carries no secret."""
    cors = Middleware(
        CORSMiddleware, allow_origins=list(origins), allow_methods=["GET"], allow_headers=["Authorization"]
    )
    return [*([cors] if origins else []), Middleware(_Door, guard=guard)]


class _Door:
    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        self._app = app
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_open = scope["type"] == "lifespan" or (scope["type"] == "http" and scope["path"] == OPEN_PATH)
        if is_open or self._guard.lets_ask(Headers(scope=scope)):
            await self._app(scope, receive, send)
        else:
            hint = "send the token as `Authorization: Bearer …`, or name and password"
            refused = problems.answer(401, "you have not proved who you are", hint=hint, headers=self._guard.challenge)
            await refused(scope, receive, send)


def _is_one_of(known: Collection[bytes], headers: Headers, scheme: str) -> bool:
    """Compare with all that are known, so that how long it takes tells nothing."""
    named, _, given = headers.get("authorization", "").partition(" ")
    same = [secrets.compare_digest(given.strip().encode("latin-1"), each) for each in known]
    return named.lower() == scheme and any(same)
