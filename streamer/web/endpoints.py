"""One description of a question and its answer, of which both the route and its documentation are made."""

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from streamer.web import parameters

Asked = TypeVar("Asked", bound=BaseModel)
Item = TypeVar("Item")


class Nothing(BaseModel):
    """A question without parameters."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class Endpoint(Generic[Asked]):
    """A question over HTTP: `asked` has the parameters of path and query, `answer` is the type of what `ask` returns.

    `refusals` are the statuses of problems that it may be answered with, beyond those that any question may.
    """

    path: str
    summary: str
    asked: type[Asked]
    answer: Any
    ask: Callable[[Asked], Awaitable[object]]
    refusals: tuple[int, ...] = ()

    @property
    def route(self) -> Route:
        """Return the route that answers."""

        async def answer(request: Request) -> Response:
            asked = parameters.read(self.asked, request.query_params, request.path_params)
            return in_json(await self.ask(asked))

        return Route(self.path, answer)

    @property
    def documented_path(self) -> str:
        """Return the path as OpenAPI writes it."""
        return re.sub(r":\w+}", "}", self.path)

    @property
    def in_path(self) -> set[str]:
        """Return the names of the parameters that are in the path."""
        return set(re.findall(r"{(\w+)", self.path))


@dataclass(frozen=True, slots=True)
class Items(Generic[Item]):
    """Some of what is asked for, in order; `next` is what to give as `after` for those that come then, if any do."""

    items: list[Item]
    next: str | None


@dataclass(frozen=True, slots=True)
class Part(Generic[Item]):
    """Some of what is asked for, in order; `next` is the `offset` of those that come then, null if there are none."""

    items: list[Item]
    next: int | None


def routes(endpoints: Iterable[Endpoint[Any]]) -> list[Route]:
    """Return the routes of some questions; nothing is changed by any."""
    return [each.route for each in endpoints]


def in_json(content: object) -> Response:
    """Return an answer."""
    return Response(orjson.dumps(content, option=orjson.OPT_UTC_Z), media_type="application/json")
