"""`streamer run`: the service."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Annotated

import typer

from streamer import config, logs
from streamer.cli.options import ApiUrl, ConfigFile, Sinks, StoreUrl
from streamer.service import Service, run_until_signalled


def run(
    api_url: ApiUrl = None,
    store: StoreUrl = None,
    listen: Annotated[str | None, typer.Option(help="HOST:PORT of page, metrics and health.")] = None,
    sink: Sinks = None,
    config_file: ConfigFile = None,
    since: Annotated[str | None, typer.Option(help="History that the first start reads, such as 24h or 7d.")] = None,
) -> None:
    """Run the service: subscribe, keep, count and deliver until stopped."""
    flags = {"api_url": api_url, "store": store, "listen": listen, "sink": sink or None, "since": since}
    read = partial(config.load, config_file, **flags)
    settings = read()
    logs.configure(settings.log_format, settings.log_level)
    asyncio.run(_serve(settings, read))


async def _serve(settings: config.Settings, read_again: Callable[[], config.Settings]) -> None:
    await run_until_signalled(Service(settings, read_again=read_again))
