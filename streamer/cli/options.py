"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

ApiUrl = Annotated[str | None, typer.Option(help="The Prefect API, such as http://127.0.0.1:4200/api.")]
StoreUrl = Annotated[str | None, typer.Option(help="The store, such as sqlite:////var/lib/streamer/streamer.db.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="The configuration, instead of streamer.toml.")]
Sinks = Annotated[
    list[str] | None, typer.Option(help="A destination, such as stdout: or jsonl:///path/runs.jsonl; repeatable.")
]
