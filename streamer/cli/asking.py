"""Questions to a store that may be in use."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from streamer import config
from streamer.store.sqlite import SqliteStore

T = TypeVar("T")


def store_path(config_file: Path | None, store: str | None) -> Path:
    """Return the file of the store that is meant."""
    return config.load(config_file, store=store).store_path


def ask(path: Path, question: Callable[[SqliteStore], Awaitable[T]]) -> T:
    """Return the answer of a store that is opened for this question."""

    async def answer() -> T:
        opened = SqliteStore.open_read_only(path)
        try:
            return await question(opened)
        finally:
            await opened.close()

    return asyncio.run(answer())
