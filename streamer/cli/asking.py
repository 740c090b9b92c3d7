"""Questions to a store that may be in use."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from streamer import config
from streamer.store.place import Place
from streamer.store.sql import SqlStore

T = TypeVar("T")


def place(config_file: Path | None, store: str | None) -> Place:
    """Return where the store is that is meant."""
    return config.load(config_file, store=store).place


def store_path(config_file: Path | None, store: str | None) -> Path:
    """Return the file of the store that is meant; raise `ConfigError` for one that is in none."""
    return config.load(config_file, store=store).store_path


def ask(place: Place, question: Callable[[SqlStore], Awaitable[T]]) -> T:
    """Return the answer of a store that is opened for this question."""

    async def answer() -> T:
        opened = place.open_read_only()
        try:
            return await question(opened)
        finally:
            await opened.close()

    return asyncio.run(answer())
