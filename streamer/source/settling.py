"""Waiting until what was put is committed."""

import asyncio

from streamer.model import Mark, Put


async def settle(source: str, put: Put) -> None:
    """Return when all that was put so far, by any net, is committed."""
    reached = asyncio.Event()
    await put(Mark(source, reached=reached.set))
    await reached.wait()
