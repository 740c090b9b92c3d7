"""To the terminal, or to whatever stands in its place."""

import os
from collections.abc import Iterable
from typing import Any

import orjson
import typer
from rich.console import Console

WIDE = 250


def console() -> Console:
    """Return the terminal; where there is none, lines are wide enough to be searched."""
    found = Console(highlight=False)
    is_free = not found.is_terminal and "COLUMNS" not in os.environ
    return Console(highlight=False, width=WIDE) if is_free else found


def json_lines(objects: Iterable[Any]) -> None:
    """Print each object as a line of JSON, as soon as it is there."""
    for each in objects:
        typer.echo(orjson.dumps(each, option=orjson.OPT_UTC_Z))
