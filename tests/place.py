"""A whole service in this process, on a fake server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson

from streamer import config
from streamer.service import Service
from streamer.sinks.lines_file import whole_lines
from streamer.testing import FakePrefect, until
from streamer.told import status_of


class Place:
    """A folder with a store and a jsonl file, and the service that works there."""

    def __init__(self, folder: Path, server: FakePrefect) -> None:
        self.server = server
        self.file = folder / "runs.jsonl"
        self.settings: dict[str, Any] = {
            "api_url": server.api_url,
            "store": f"sqlite:///{folder}/streamer.db",
            "listen": "127.0.0.1:0",
            "sink": [f"jsonl://{self.file}"],
            "proxy": "none",
        }

    def service(self, *, read_again: Callable[[], config.Settings] | None = None, **changes: Any) -> Service:
        return Service(config.only(**{**self.settings, **changes}), read_again=read_again)

    @asynccontextmanager
    async def running(self, **changes: Any) -> AsyncIterator[Service]:
        """Run the service until it is ready and for the length of the block; stop it then."""
        service = self.service(**changes)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(service.run())
            await service.started()
            await until(lambda: status_of(service.core).is_ready and self.server.subscribers)
            yield service
            service.stop()

    def ids(self) -> list[str]:
        return [orjson.loads(line)["id"] for line in whole_lines(self.file)]

    async def has(self, *events: dict[str, Any]) -> None:
        """Return once the file holds all these events."""
        await until(lambda: {each["id"] for each in events} <= set(self.ids()))
