"""`streamer quarantine`: frames that are no valid event, and why."""

import asyncio
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from streamer import config
from streamer.cli.asking import ask, place
from streamer.cli.options import ConfigFile, StoreUrl
from streamer.errors import ConfigError
from streamer.operating import act
from streamer.store.place import Place
from streamer.store.sql import SqlStore

app = typer.Typer(help="Frames that are no valid event, and why.", no_args_is_help=True)

SHOWN_MOST = 50

Key = Annotated[str, typer.Argument(help="A key, or as much of its start as tells it apart.")]


@app.command("list")
def list_(
    reason: Annotated[str | None, typer.Option(help="Only json, schema, forged or oversize.")] = None,
    every: Annotated[bool, typer.Option("--all", help=f"All of them, not only the newest {SHOWN_MOST}.")] = False,
    store: StoreUrl = None,
    config_file: ConfigFile = None,
) -> None:
    """Show what is in quarantine, newest first; works while the service runs."""
    found = [each for each in ask(place(config_file, store), SqlStore.refused) if reason in (None, each.reason)]
    table = Table("key", "arrived", "source", "net", "reason", "bytes", "detail", box=None)
    for each in found if every else found[:SHOWN_MOST]:
        arrived = each.arrived.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        table.add_row(
            each.key[:12], arrived, escape(each.source), each.net, each.reason, str(each.size), escape(each.detail)
        )
    console = Console(highlight=False)
    console.print(table if found else "nothing is in quarantine")
    if len(found) > SHOWN_MOST and not every:
        console.print(f"… and {len(found) - SHOWN_MOST} more: --all shows them")


@app.command()
def show(key: Key, store: StoreUrl = None, config_file: ConfigFile = None) -> None:
    """Print a frame as it came, cut to a megabyte."""
    there = place(config_file, store)
    (whole,) = _resolved(there, [key], several=False)
    frame = ask(there, lambda opened: opened.refused_frame(whole))
    sys.stdout.buffer.write(frame.data if frame else b"")
    sys.stdout.buffer.write(b"\n")
    sys.stdout.flush()


@app.command()
def retry(
    keys: Annotated[list[str] | None, typer.Argument(help="Keys, or as much of their starts.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    store: StoreUrl = None,
    config_file: ConfigFile = None,
) -> None:
    """Validate frames again, such as with a newer version; what is valid enters the log like any other event."""
    if bool(keys) == every:
        raise ConfigError("say which frames", hint="give keys of `streamer quarantine list`, or --all")
    settings = config.load(config_file, store=store)
    wanted = _resolved(settings.place, keys or [""], several=every)
    answer = asyncio.run(act(settings, "quarantine/retry", keys=wanted))
    typer.echo(f"{answer['accepted']} of {answer['retried']} are valid now, and in the log")


def _resolved(there: Place, keys: list[str], *, several: bool) -> list[str]:
    """Return the whole keys of the frames that these starts of keys mean, one each unless several are wanted."""
    found = []
    for key in keys:
        matching = [each.key for each in ask(there, lambda opened, key=key: opened.refused(key))]  # type: ignore[misc]
        if not several and len(matching) != 1:
            what = f"{len(matching)} frames have a key" if matching else "no frame in quarantine has a key"
            raise ConfigError(f"{what} that starts with {key}", hint="`streamer quarantine list` shows the keys")
        found += matching
    return found
