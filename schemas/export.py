"""The JSON Schema of records and events; `python -m schemas.export` writes it into `schemas/json/`."""

from pathlib import Path

import orjson
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from schemas.alert import Alert
from schemas.event import Kind
from schemas.flow_run import Heartbeat, Other, PullStep, Transition
from schemas.ours import Notice, Verdict
from schemas.record import RecordBody

FOLDER = Path(__file__).parent / "json"

_PRETTY = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE

_MODELS: dict[str, type[BaseModel]] = {
    "record": RecordBody,
    Kind.TRANSITION: Transition,
    Kind.HEARTBEAT: Heartbeat,
    Kind.PULL_STEP: PullStep,
    Kind.OTHER: Other,
    Kind.VERDICT: Verdict,
    Kind.NOTICE: Notice,
    Kind.ALERT: Alert,
}


class WireSchema(GenerateJsonSchema):
    """Show the few lax fields as what they are on the wire: Prefect writes every label as a string."""

    def int_schema(self, schema: core_schema.IntSchema) -> JsonSchemaValue:
        """Let a lax integer be a string of digits."""
        found = super().int_schema(schema)
        return found if schema.get("strict") is not False else _or_string(found, pattern="^[0-9]+$")

    def bool_schema(self, schema: core_schema.BoolSchema) -> JsonSchemaValue:
        """Let a lax boolean be a word."""
        found = super().bool_schema(schema)
        return found if schema.get("strict") is not False else _or_string(found, pattern="^(true|false)$")


def exported() -> dict[str, bytes]:
    """Return the schema files by name; those of events describe them as they are on the wire."""
    return {f"{name}.json": _schema(model) for name, model in _MODELS.items()}


def write(folder: Path = FOLDER) -> None:
    """Write the schema files into a folder."""
    for name, content in exported().items():
        (folder / name).write_bytes(content)


def _schema(model: type[BaseModel]) -> bytes:
    schema = model.model_json_schema(schema_generator=WireSchema)
    return orjson.dumps({"$schema": WireSchema.schema_dialect, **schema}, option=_PRETTY)


def _or_string(found: JsonSchemaValue, *, pattern: str) -> JsonSchemaValue:
    return {"anyOf": [found, {"type": "string", "pattern": pattern}]}


if __name__ == "__main__":
    write()
