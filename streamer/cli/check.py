"""`streamer check`: what works, what does not, what to do."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import typer
from rich.console import Console
from rich.markup import escape

from streamer import config, logs, sinks
from streamer.cli.options import ApiUrl, ConfigFile, Sinks, StoreUrl
from streamer.clock import ServerClock, SystemClock
from streamer.connecting import connection_of
from streamer.deliveries import sinks_of
from streamer.errors import AuthenticationFailed, ConfigError, RequestRefused, SinkError, StreamerError
from streamer.health import SourceHealth
from streamer.instruments import Instruments
from streamer.source.api import Api
from streamer.source.live import LiveSource

SINK_SECONDS = 15


def check(
    api_url: ApiUrl = None,
    store: StoreUrl = None,
    sink: Sinks = None,
    config_file: ConfigFile = None,
) -> None:
    """Check configuration, store, sinks, the server's REST and its event stream; say what to do where one fails."""
    settings = config.load(config_file, api_url=api_url, store=store, sink=sink or None)
    logs.configure(settings.log_format, level="ERROR")  # what went wrong is told below
    status = asyncio.run(_check(settings))
    raise typer.Exit(status)


Step = Callable[[config.Settings], Awaitable[str]]


async def _check(settings: config.Settings) -> int:
    console, sources = Console(highlight=False, soft_wrap=True), settings.each_source
    console.print(f"[green]✓[/] configuration: {', '.join(each.api_url for each in sources)}")
    failures = await _try(console, settings, {"store": _store, "sinks": _sinks})
    for each in sources:
        of = f" of {escape(each.source)}" if len(sources) > 1 else ""
        failures += await _try(console, each, {f"REST{of}": _rest, f"event stream{of}": _stream})
    if any(isinstance(each, ConfigError) for each in failures):
        return 2
    if any(isinstance(each, AuthenticationFailed) for each in failures):
        return 3
    return 1 if failures else 0


async def _try(console: Console, settings: config.Settings, steps: Mapping[str, Step]) -> list[StreamerError]:
    """Take the steps, say what became of each, and return what went wrong."""
    failures: list[StreamerError] = []
    for name, step in steps.items():
        try:
            found = await step(settings)
            console.print(f"[green]✓[/] {name}: ", end="")
            console.print(found, markup=False)
        except StreamerError as error:
            failures.append(error)
            console.print(f"[red]✗[/] {name}: ", end="")
            console.print(str(error), markup=False)
            if error.hint:
                console.print(f"  → {error.hint}", markup=False)
        if any(isinstance(each, RequestRefused) for each in failures):
            break  # the event stream would say the same, less clearly
    return failures


async def _store(settings: config.Settings) -> str:
    place = settings.place
    if service := place.service():
        return f"{place}, in use by the service at {service.address}"
    if not place.is_there():
        return f"{place}, made at the first start"
    store = place.open_read_only()
    try:
        return f"{place}, head {await store.head()}"
    finally:
        await store.close()


async def _sinks(settings: config.Settings) -> str:
    wanted = sinks_of(settings)
    for name, each in wanted.items():
        sink = sinks.build(each.type, each.options)
        try:
            async with asyncio.timeout(SINK_SECONDS):
                await sink.open()
                await sink.close()
        except (TimeoutError, OSError, SinkError) as error:
            raise SinkError(f"{name}: {type(error).__name__}: {error}", "see what its destination says") from error
    return f"{len(wanted)} opened" if wanted else "none configured"


async def _rest(settings: config.Settings) -> str:
    async with Api(connection_of(settings), ServerClock(SystemClock()), Instruments()) as api:
        await api.hello()
        return "reached, and may read events"


async def _stream(settings: config.Settings) -> str:
    health = SourceHealth(settings.source, Instruments())
    live = LiveSource(connection_of(settings), health, ServerClock(SystemClock()))
    await live.try_once()
    return "connected, authenticated, subscribed"
