"""One address for websocket and REST, as with Prefect."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

import httpx

from benchmarks.subscribers import AT_ONCE, Subscribers


@asynccontextmanager
async def door(subscribers: Subscribers, rest_url: str) -> AsyncIterator[str]:
    """Serve both for the length of the block; yield the address."""
    rest = httpx.URL(rest_url)
    async with await asyncio.start_server(partial(_answer, subscribers, rest), "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def _answer(
    subscribers: Subscribers, rest: httpx.URL, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Talk to a subscriber, or pass a connection on to REST."""
    head = await reader.readline()
    with suppress(ConnectionError):
        if b"/events/out" in head:
            await subscribers.converse(head, reader, writer)
        else:
            other_reader, other_writer = await asyncio.open_connection(rest.host, rest.port)
            other_writer.write(head)
            await asyncio.gather(_copy(reader, other_writer), _copy(other_reader, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while some := await reader.read(AT_ONCE):
            writer.write(some)
            await writer.drain()
    finally:
        writer.close()
