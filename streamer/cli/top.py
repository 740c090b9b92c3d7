"""`streamer top`: the live page in a terminal."""

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from streamer import config
from streamer.cli import printing
from streamer.cli.answering import ServiceUrl
from streamer.cli.options import ConfigFile, StoreUrl
from streamer.cli.top_page import Page, script_of
from streamer.cli.top_service import LookedAt, at, on_store
from streamer.cli.top_terminal import Terminal
from streamer.cli.top_view import View
from streamer.cli.top_watch import Watch
from streamer.errors import ConfigError

ROWS_ONCE = 20


def top(
    once: Annotated[bool, typer.Option("--once", help="Print one picture, and end.")] = False,
    json: Annotated[bool, typer.Option("--json", help="With --once: print what /api/live answers.")] = False,
    service: ServiceUrl = None,
    store: StoreUrl = None,
    config_file: ConfigFile = None,
) -> None:
    """Show whether all is well, the runs now, sinks, alerts and the newest transitions, as they change."""
    if json and not once:
        raise ConfigError("--json is one picture", hint="say --once --json")
    if service and store:
        raise ConfigError("a service has a store already", hint="leave --store out")
    asyncio.run(_look(_service(service, store, config_file), once=once, as_json=json))


def _service(url: str | None, store: str | None, config_file: Path | None) -> LookedAt:
    settings = config.load(config_file, store=store)
    return LookedAt(at(url, settings.access) if url else on_store(settings))


async def _look(service: LookedAt, *, once: bool, as_json: bool) -> None:
    if as_json:
        typer.echo(await service.picture())
    elif once:
        await _print(service)
    else:
        terminal = Terminal()
        await Watch(service, await service.told(), terminal, script_of(terminal.console, _locale())).run()


async def _print(service: LookedAt) -> None:
    told, console = await service.told(), printing.console()
    page = Page(console, told, View(), datetime.now(UTC) + told.ahead, script_of(console, _locale()))
    for part in page.snapshot(ROWS_ONCE):
        console.print(part)


def _locale() -> str:
    """Return the locale that says which characters there are."""
    return next((value for name in ("LC_ALL", "LC_CTYPE", "LANG") if (value := os.environ.get(name))), "")
