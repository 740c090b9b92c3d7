"""`streamer store`: look at the store, back it up, put a backup in its place."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from streamer import config
from streamer.cli.options import ConfigFile, StoreUrl
from streamer.store import maintenance

app = typer.Typer(help="The store: look at it, back it up, restore it.", no_args_is_help=True)


@app.command()
def info(store: StoreUrl = None, config_file: ConfigFile = None) -> None:
    """Show what the store holds; works while the service runs."""
    table = Table(show_header=False, box=None)
    for name, value in maintenance.info(_path(config_file, store)).items():
        table.add_row(escape(name), escape(value))
    Console(highlight=False).print(table)


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="Where the copy goes; must not exist.")],
    store: StoreUrl = None,
    config_file: ConfigFile = None,
) -> None:
    """Copy the store, whole and consistent; works while the service runs."""
    size = maintenance.backup(_path(config_file, store), file)
    typer.echo(f"{file}: {size} bytes, checked")


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A backup.")],
    store: StoreUrl = None,
    force: Annotated[bool, typer.Option(help="Replace the store that is there; it is kept with .replaced.")] = False,
    config_file: ConfigFile = None,
) -> None:
    """Put a checked backup in the store's place; the service must not run."""
    maintenance.restore(file, _path(config_file, store), force=force)
    typer.echo("restored")


@app.command()
def vacuum(store: StoreUrl = None, config_file: ConfigFile = None) -> None:
    """Give unused space back to the disk; the service must not run."""
    before, after = maintenance.vacuum(_path(config_file, store))
    typer.echo(f"{before} bytes before, {after} after")


@app.command()
def adopt(
    api_url: Annotated[str, typer.Argument(help="The server's new address.")],
    source: Annotated[str, typer.Option(help="The source that has moved.")] = "default",
    store: StoreUrl = None,
    config_file: ConfigFile = None,
) -> None:
    """Say that a source is the same server under a new address; the service must not run."""
    maintenance.adopt(_path(config_file, store), source=source, identity=api_url.rstrip("/"))
    typer.echo(f"source {source} is now {api_url}")


def _path(config_file: Path | None, store: str | None) -> Path:
    return config.load(config_file, store=store).store_path
