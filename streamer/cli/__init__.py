"""The command line: parse, call, print. Each command is a file; errors are one sentence and a hint."""

import sys
from collections.abc import Iterator

import typer
from rich.console import Console

from streamer import __version__
from streamer.cli import (
    alerts,
    check,
    dead_letters,
    demo,
    flows,
    history,
    inspect,
    logs,
    quarantine,
    replay,
    run,
    runs,
    schema,
    sinks,
    store,
    tail,
    top,
)
from streamer.errors import AuthenticationFailed, ConfigError, StreamerError

app = typer.Typer(
    name="streamer",
    help="Every flow-run event of a Prefect server: validated, in a durable log, out to metrics and sinks.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"streamer {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version."),
) -> None:
    """Hold the options that stand before a command."""


app.command()(run.run)
app.command()(demo.demo)
app.command()(replay.replay)
app.command()(tail.tail)
app.command()(top.top)
app.command()(runs.runs)
app.command()(inspect.inspect)
app.command()(logs.logs)
app.command()(flows.flows)
app.command()(flows.deployments)
app.command()(history.history)
app.command()(check.check)
app.command()(schema.schema)
app.add_typer(store.app, name="store")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(sinks.app, name="sinks")
app.add_typer(alerts.app, name="alerts")


def main() -> None:
    """Run the command line; the exit status is 0 done, 1 failed, 2 usage or configuration, 3 authentication refused."""
    try:
        app()
    except StreamerError as error:
        sys.exit(_report(error))
    except BaseExceptionGroup as group:
        known = next(_ours(group), None)
        if known is None:
            raise
        sys.exit(_report(known))
    except (KeyboardInterrupt, BrokenPipeError):
        sys.exit(1)


def _report(error: StreamerError) -> int:
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print("[bold red]error:[/] ", end="")
    console.print(str(error), markup=False)
    if error.hint:
        console.print("[bold]hint:[/] ", end="")
        console.print(error.hint, markup=False)
    if isinstance(error, AuthenticationFailed):
        return 3
    return 2 if isinstance(error, ConfigError) else 1


def _ours(error: BaseException) -> Iterator[StreamerError]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _ours(each)
    elif isinstance(error, StreamerError):
        yield error
