"""`streamer dead-letters`: records that a sink refused for good."""

import asyncio
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from schemas import to_json
from streamer import config
from streamer.cli.asking import ask, place
from streamer.cli.options import ConfigFile, StoreUrl
from streamer.config import Settings
from streamer.errors import ConfigError
from streamer.operating import Answer, act
from streamer.store.place import Place

app = typer.Typer(help="Records that a sink refused for good, and why.", no_args_is_help=True)

SHOWN_MOST = 50

Sink = Annotated[str, typer.Argument(help="The sink's name.")]
Seqs = Annotated[list[int] | None, typer.Argument(help="Their seqs.")]
Every = Annotated[bool, typer.Option("--all", help="All of the sink's.")]


@app.command("list")
def list_(
    sink: Annotated[str | None, typer.Argument(help="Only this sink's.")] = None,
    every: Annotated[bool, typer.Option("--all", help=f"All of them, not only the newest {SHOWN_MOST}.")] = False,
    store: StoreUrl = None,
    config_file: ConfigFile = None,
) -> None:
    """Show what sinks have refused, newest first; works while the service runs."""
    there, most = place(config_file, store), None if every else SHOWN_MOST
    found = ask(there, lambda opened: opened.buried(sink, limit=most))
    table = Table("sink", "seq", "source", "buried", "bytes", "reason", box=None)
    for each in found:
        buried = each.buried.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        table.add_row(
            escape(each.sink), str(each.seq), escape(each.source), buried, str(each.size), escape(each.reason)
        )
    console = Console(highlight=False)
    console.print(table if found else "there are no dead letters")
    if more := ask(there, lambda opened: opened.dead_letters(sink)) - len(found):
        console.print(f"… and {more} more: --all shows them")


@app.command()
def show(
    sink: Sink,
    seq: Annotated[int, typer.Argument(help="Its seq.")],
    store: StoreUrl = None,
    config_file: ConfigFile = None,
) -> None:
    """Print a refused record as JSON."""
    there = place(config_file, store)
    _there(there, sink, [seq])
    (record,) = ask(there, lambda opened: opened.buried_records(sink, [seq]))
    sys.stdout.buffer.write(to_json(record.seq, record.source, record.event) + b"\n")
    sys.stdout.flush()


@app.command()
def retry(
    sink: Sink, seqs: Seqs = None, every: Every = False, store: StoreUrl = None, config_file: ConfigFile = None
) -> None:
    """Have the running service give records to the sink again; what it takes now is a dead letter no more."""
    answer = _have("retry", sink, seqs, every, config.load(config_file, store=store))
    typer.echo(f"{sink} took {answer['delivered']} of {answer['retried']}")


@app.command()
def drop(
    sink: Sink, seqs: Seqs = None, every: Every = False, store: StoreUrl = None, config_file: ConfigFile = None
) -> None:
    """Forget records that a sink refused: it will never have them."""
    answer = _have("drop", sink, seqs, every, config.load(config_file, store=store))
    typer.echo(f"dropped {answer['dropped']}")


def _have(done: str, sink: str, seqs: list[int] | None, every: bool, settings: Settings) -> Answer:
    """Have something done to these dead letters, or to all of the sink's."""
    if bool(seqs) == every:
        raise ConfigError("say which records", hint="give seqs of `streamer dead-letters list`, or --all")
    wanted = _there(settings.place, sink, seqs)
    return asyncio.run(act(settings, f"dead-letters/{done}", sink=sink, seqs=wanted))


def _there(there: Place, sink: str, seqs: list[int] | None) -> list[int]:
    """Return the numbers of these dead letters, or of all; refuse those that are none."""
    known = ask(there, lambda opened: opened.buried_seqs(sink))
    if missing := sorted(set(seqs or ()) - set(known)):
        which = f"no dead letter {', '.join(map(str, missing))}"
    elif not known:
        which = "no dead letters"
    else:
        return seqs or known
    raise ConfigError(f"{sink} has {which}", hint="`streamer dead-letters list` shows what there is")
