"""`streamer tail`: live transitions."""

import asyncio
import sys
from collections.abc import Callable
from typing import Annotated

import typer
from rich.console import Console

from schemas import InvalidEvent, Transition, decode, to_json
from schemas.event import FLOW_RUN_PREFIX
from streamer import config, logs
from streamer.cli.options import ApiUrl, ConfigFile, StoreUrl
from streamer.cli.rendering import line
from streamer.clock import ServerClock, SystemClock
from streamer.connecting import connection_of
from streamer.health import SourceHealth
from streamer.instruments import Instruments
from streamer.model import Frame, Item, Record
from streamer.selection import Selection
from streamer.source.live import LiveSource
from streamer.store.place import Place

_POLL_SECONDS = 0.2
_AT_ONCE = 500


def tail(
    flow: Annotated[list[str] | None, typer.Option(help="Only flows of this name; globs; repeatable.")] = None,
    state: Annotated[list[str] | None, typer.Option(help="Only into this state type or name; repeatable.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Only runs with this tag; globs; repeatable.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print records as JSON lines.")] = False,
    api_url: ApiUrl = None,
    store: StoreUrl = None,
    config_file: ConfigFile = None,
) -> None:
    """Print transitions as they come: from the running service's log, or, if none runs, from the server itself."""
    settings = config.load(config_file, api_url=api_url, store=store)
    logs.configure(settings.log_format, settings.log_level)
    selection = Selection(flows=tuple(flow or ()), tags=tuple(tag or ()))
    states = {each.lower() for each in state or ()}
    asyncio.run(_print(settings, selection, states, as_json=json))


async def _print(settings: config.Settings, selection: Selection, states: set[str], *, as_json: bool) -> None:
    console = Console(highlight=False, soft_wrap=True)

    def show(record: Record) -> None:
        if record.event not in selection or not _is_in(record, states):
            return
        if as_json:
            sys.stdout.buffer.write(to_json(record.seq, record.source, record.event) + b"\n")
            sys.stdout.buffer.flush()
        else:
            console.print(line(record.event))

    if settings.place.service():
        await _from_log(settings.place, show)
    else:
        Console(stderr=True).print(
            "no service runs on this store: showing the server's own stream, which may leave out some"
        )
        async with asyncio.TaskGroup() as sources:
            for each in settings.each_source:
                sources.create_task(_from_server(each, show))


def _is_in(record: Record, states: set[str]) -> bool:
    event = record.event
    if not states:
        return True
    return isinstance(event, Transition) and not states.isdisjoint({event.to_type.lower(), event.after.name.lower()})


async def _from_log(place: Place, show: Callable[[Record], None]) -> None:
    store = place.open_read_only()
    try:
        seq = await store.head()
        while True:
            for record in await store.after(seq, _AT_ONCE):
                seq = record.seq
                show(record)
            await asyncio.sleep(_POLL_SECONDS)
    finally:
        await store.close()


async def _from_server(settings: config.Settings, show: Callable[[Record], None]) -> None:
    stderr = Console(stderr=True)

    async def put(item: Item) -> None:
        assert isinstance(item, Frame)
        try:
            event = decode(item.data)
        except InvalidEvent as error:
            stderr.print(f"not an event: {error}", markup=False)
            return
        if event.name.startswith(FLOW_RUN_PREFIX):
            show(Record(0, settings.source, event))

    health, clock = SourceHealth(settings.source, Instruments()), ServerClock(SystemClock())
    await LiveSource(connection_of(settings), health, clock).run(put)
