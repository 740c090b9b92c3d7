"""GraphQL over HTTP: no page to try it on, for that would have to load its scripts from another host."""

from typing import Any

import orjson
from cross_web import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from typing_extensions import override

from streamer.web.graphql.answering import Answering
from streamer.web.graphql.context import Context
from streamer.web.graphql.schema import SCHEMA
from streamer.web.problems import Refusal

_HINT = 'send {"query": "…", "variables": {…}} as application/json'


class GraphQLApp(GraphQL[Context, None]):
    """Answers by the schema."""

    def __init__(self, answering: Answering) -> None:
        super().__init__(SCHEMA, graphql_ide=None, subscription_protocols=())
        self._answering = answering

    @override
    async def run(self, request: Any, *args: Any, **more: Any) -> Any:
        if request.method == "GET" and "query" not in request.query_params:
            raise Refusal(400, "query: there is none", field="query", hint="GET /graphql?query=…, or POST")
        try:
            return await super().run(request, *args, **more)
        except HTTPException as error:
            raise Refusal(error.status_code, error.reason, hint=_HINT) from None

    @override
    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Context:
        return Context(self._answering)

    @override
    def decode_json(self, data: str | bytes) -> object:
        try:
            decoded = orjson.loads(data)
        except ValueError:
            raise HTTPException(400, "it is no JSON") from None
        if not isinstance(decoded, dict):
            raise HTTPException(400, "it is no JSON object")
        return decoded
