"""The OpenAPI document of all questions, made of the types that they are asked and answered with."""

from collections.abc import Mapping, Sequence
from inspect import cleandoc
from typing import Any

from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from streamer import __version__
from streamer.web import parameters, problems
from streamer.web.endpoints import Endpoint, in_json

PATH = "/api/openapi.json"

ALWAYS = (400, 401, 500, 503)
"""Statuses of problems that any question may be answered with."""

_REFERENCE = "#/components/schemas/{model}"

_ABOUT = """\
Questions about runs, flows, sinks and alerts; nothing is changed by any. Texts that ask for something with a name are
its id, its name or a glob. A list is repeated or separated by commas, as in CSV: a value that has a comma is put in
quotation marks. Problems are RFC 9457 problem details."""

Json = dict[str, Any]


def route(endpoints: Sequence[Endpoint[Any]]) -> Route:
    """Return the route of the document, which is made when it is asked for first."""
    made: list[Json] = []

    async def show(_: Request) -> Response:
        if not made:
            made.append(document(endpoints))
        return in_json(made[0])

    return Route(PATH, show)


def document(endpoints: Sequence[Endpoint[Any]]) -> Json:
    """Return the document."""
    answers = {each.path: each.answer for each in endpoints} | {"": problems.Problem}
    wanted = [(path, "serialization", TypeAdapter(answer)) for path, answer in answers.items()]
    found, shared = TypeAdapter.json_schemas(wanted, ref_template=_REFERENCE)  # type: ignore[arg-type]
    asked = {each.path: _asked(each) for each in endpoints}
    schemas = shared["$defs"] | {name: schema for _, defs in asked.values() for name, schema in defs.items()}
    schemas |= {"Problem": _without_nulls(schemas["Problem"])}
    return {
        "openapi": "3.1.0",
        "info": {"title": "streamer", "version": __version__, "description": _ABOUT},
        "paths": {
            each.documented_path: {"get": _operation(each, asked[each.path][0], found[each.path, "serialization"])}
            for each in endpoints
        },
        "components": {"schemas": schemas, "securitySchemes": _SCHEMES},
        "security": [{}, {"bearer": []}, {"basic": []}],
    }


_SCHEMES = {"bearer": {"type": "http", "scheme": "bearer"}, "basic": {"type": "http", "scheme": "basic"}}


def _operation(endpoint: Endpoint[Any], asked: Sequence[Json], answer: Mapping[str, Any]) -> Json:
    refusals = sorted({*ALWAYS, *endpoint.refusals})
    return {
        "operationId": endpoint.documented_path.removeprefix("/api/").translate(str.maketrans("/-", "__", "{}")),
        "summary": endpoint.summary,
        "description": cleandoc(endpoint.asked.__doc__ or ""),
        "parameters": list(asked),
        "responses": {
            "200": {"description": endpoint.summary, "content": {"application/json": {"schema": answer}}},
            **{str(status): _PROBLEM for status in refusals},
        },
    }


_PROBLEM = {
    "description": "What is wrong",
    "content": {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


def _asked(endpoint: Endpoint[Any]) -> tuple[list[Json], Json]:
    """Return the parameters of a question, and the schemas that these refer to."""
    schema = endpoint.asked.model_json_schema(ref_template=_REFERENCE)
    required = schema.get("required", ())
    found = [_parameter(endpoint, name, each, required=name in required) for name, each in schema["properties"].items()]
    return found, schema.get("$defs", {})


def _parameter(endpoint: Endpoint[Any], name: str, schema: Json, *, required: bool) -> Json:
    place = "path" if name in endpoint.in_path else "query"
    about = {"description": schema["description"]} if "description" in schema else {}
    return {"name": name, "in": place, "required": required, "schema": _as_text(endpoint, name, schema), **about}


def _as_text(endpoint: Endpoint[Any], name: str, schema: Json) -> Json:
    """Return the schema of a parameter; a text can be left out, but is never null."""
    kept = {key: value for key, value in schema.items() if key not in ("title", "description")}
    if "anyOf" in kept:
        kinds = [each for each in kept.pop("anyOf") if each != {"type": "null"}]
        if parameters.may_be_open(endpoint.asked, name):
            kinds.append({"const": parameters.OPEN})
        kept |= kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    if kept.get("type") == "array":
        kept |= {"maxItems": kept.pop("maxLength")} if "maxLength" in kept else {}  # pydantic says it as of a text
    if kept.get("default", ...) is None:
        del kept["default"]
    return kept


def _without_nulls(schema: Json) -> Json:
    """Return the schema of what has no key for what is null."""
    kept = {}
    for name, each in schema["properties"].items():
        kinds = [kind for kind in each.get("anyOf", ()) if kind != {"type": "null"}]
        kept[name] = kinds[0] if kinds else each
    return {**schema, "properties": kept, "required": ["title", "status", "detail", "type"]}
