"""`streamer store`: look at the store, back it up, put a backup in its place."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from streamer.cli.asking import store_path
from streamer.cli.options import ConfigFile, StoreUrl
from streamer.model import Net
from streamer.store import maintenance

app = typer.Typer(help="The store: look at it, back it up, restore it.", no_args_is_help=True)


@app.command()
def info(store: StoreUrl = None, config_file: ConfigFile = None) -> None:
    """Show what the store holds, and which net brought it; works while the service runs."""
    path, console = store_path(config_file, store), Console(highlight=False)
    table = Table(show_header=False, box=None)
    for name, value in maintenance.info(path).items():
        table.add_row(escape(name), escape(value))
    console.print(table)
    console.print()
    console.print(_accounts(path))


def _accounts(path: Path) -> Table:
    accounts = maintenance.accounts(path)
    table = Table("events, by the net that first brought them", box=None)
    for account in accounts:
        table.add_column(escape(account.source), justify="right")
    rows: list[tuple[str, Callable[[maintenance.Account], int]]] = [
        *((net.value, lambda each, net=net.value: each.nets[net]) for net in Net),
        ("in all", lambda each: sum(each.nets.values())),
        ("of these the server has", lambda each: each.on_server),
        ("heartbeats, not among them", lambda each: each.heartbeats),
        ("came again", lambda each: each.duplicates),
        ("were refused", lambda each: each.quarantined),
        ("were rolled back", lambda each: each.phantoms),
    ]
    for name, value in rows:
        table.add_row(name, *(str(value(account)) for account in accounts))
    return table


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="Where the copy goes; must not exist.")],
    store: StoreUrl = None,
    config_file: ConfigFile = None,
) -> None:
    """Copy the store, whole and consistent; works while the service runs."""
    size = maintenance.backup(store_path(config_file, store), file)
    typer.echo(f"{file}: {size} bytes, checked")


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A backup.")],
    store: StoreUrl = None,
    force: Annotated[bool, typer.Option(help="Replace the store that is there; it is kept with .replaced.")] = False,
    config_file: ConfigFile = None,
) -> None:
    """Put a checked backup in the store's place; the service must not run."""
    maintenance.restore(file, store_path(config_file, store), force=force)
    typer.echo("restored")


@app.command()
def vacuum(store: StoreUrl = None, config_file: ConfigFile = None) -> None:
    """Give unused space back to the disk; the service must not run."""
    before, after = maintenance.vacuum(store_path(config_file, store))
    typer.echo(f"{before} bytes before, {after} after")


@app.command()
def adopt(
    api_url: Annotated[str, typer.Argument(help="The server's new address.")],
    source: Annotated[str, typer.Option(help="The source that has moved.")] = "default",
    store: StoreUrl = None,
    config_file: ConfigFile = None,
) -> None:
    """Say that a source is the same server under a new address; the service must not run."""
    maintenance.adopt(store_path(config_file, store), source=source, identity=api_url.rstrip("/"))
    typer.echo(f"source {source} is now {api_url}")
