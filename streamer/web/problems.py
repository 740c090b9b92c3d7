"""What goes wrong, as RFC 9457 has it: `application/problem+json`."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any

import orjson
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from streamer.errors import SourceError, StoreError, StreamerError

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Problem:
    """Say what is wrong: `title` is the status in words, `field` the parameter it is about, `hint` what can be done."""

    title: str
    status: int
    detail: str
    field: str | None = None
    hint: str | None = None
    type: str = "about:blank"


class Refusal(Exception):  # noqa: N818 - it is no fault of ours
    """A question that has no answer: why not, and which parameter it is about."""

    def __init__(self, status: int, detail: str, *, field: str | None = None, hint: str | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.field = field
        self.hint = hint


def refused_by(error: ValidationError) -> Refusal:
    """Return what is wrong with parameters; nothing of what was given is repeated."""
    wrong = error.errors(include_input=False, include_url=False)
    sentences = [": ".join(filter(None, [_field(each), each["msg"].removeprefix("Value error, ")])) for each in wrong]
    return Refusal(400, "; ".join(sentences), field=_field(wrong[0]))


def answer(
    status: int,
    detail: str,
    *,
    field: str | None = None,
    hint: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a problem; what is not known of it is left out."""
    said = asdict(Problem(HTTPStatus(status).phrase, status, detail, field, hint))
    body = orjson.dumps({key: value for key, value in said.items() if value is not None})
    return Response(body, status, headers, MEDIA_TYPE)


def _field(error: Any) -> str | None:
    return str(error["loc"][0]) if error["loc"] else None


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return answer(error.status, error.detail, field=error.field, hint=error.hint)


async def _not_routed(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    sentences = {404: f"there is nothing at {request.url.path}", 405: f"{request.url.path} is not asked so"}
    return answer(error.status_code, sentences.get(error.status_code, error.detail), headers=error.headers)


async def _no_store(_: Request, error: Exception) -> Response:
    return answer(503, str(error), hint=_hint(error))


async def _no_server(_: Request, error: Exception) -> Response:
    return answer(502, f"the Prefect server cannot be asked: {error}", hint=_hint(error))


async def _fault(_: Request, __: Exception) -> Response:
    return answer(500, "this is a fault of the service: its log has more")


def _hint(error: Exception) -> str | None:
    return error.hint if isinstance(error, StreamerError) else None


HANDLERS: Mapping[Any, Callable[[Request, Exception], Any]] = {
    Refusal: _refused,
    HTTPException: _not_routed,
    StoreError: _no_store,
    SourceError: _no_server,
    Exception: _fault,
}
"""What answers instead of what raised: for Starlette's `exception_handlers`."""
