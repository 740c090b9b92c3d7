"""`streamer schema`: JSON Schema of what goes in and out."""

from typing import Annotated

import typer

from schemas.export import exported
from streamer.config import Settings
from streamer.errors import ConfigError

CONFIGURATION = "configuration"


def schema(name: Annotated[str, typer.Argument(help="record, an event's kind, or configuration.")] = "record") -> None:
    """Print the JSON Schema of records, of an event, or of the configuration."""
    import orjson

    if name == CONFIGURATION:
        typer.echo(orjson.dumps(Settings.model_json_schema(), option=orjson.OPT_INDENT_2).decode())
        return
    schemas = {file.removesuffix(".json"): text for file, text in exported().items()}
    if name not in schemas:
        raise ConfigError(f"there is no schema {name!r}", hint=f"there are: {', '.join([*schemas, CONFIGURATION])}")
    typer.echo(schemas[name].decode(), nl=False)
