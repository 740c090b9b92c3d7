"""The store and the server of some settings, each opened when it is first asked; all on one event loop."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from streamer.client.background import Background
from streamer.client.server import Server
from streamer.clock import ServerClock, SystemClock
from streamer.config import Settings
from streamer.connecting import connection_of
from streamer.instruments import Instruments
from streamer.source.api import Api
from streamer.store.sql import SqlStore

T = TypeVar("T")


class Opened:
    """Asks, for somebody who waits; the settings are looked up when they are first needed."""

    def __init__(self, settings: Callable[[], Settings]) -> None:
        self._settings = settings
        self._background = Background()
        self._store: SqlStore | None = None
        self._server: Server | None = None

    def ask_store(self, question: Callable[[SqlStore], Awaitable[T]]) -> T:
        """Return the answer of the store, which is only read."""

        async def asking() -> T:
            self._store = self._store or self._settings().place.open_read_only()
            return await question(self._store)

        return self._background.do(asking())

    def ask_server(self, question: Callable[[Server], Awaitable[T]]) -> T:
        """Return the answer of the Prefect server."""

        async def asking() -> T:
            self._server = self._server or self._connected()
            return await question(self._server)

        return self._background.do(asking())

    def close(self) -> None:
        """Close what is open, and end the thread."""
        self._background.end(self._close())

    def _connected(self) -> Server:
        return Server(Api(connection_of(self._settings()), ServerClock(SystemClock()), Instruments()))

    async def _close(self) -> None:
        open_ones: list[Any] = [each for each in (self._store, self._server) if each]
        self._store = self._server = None
        for each in open_ones:
            await each.close()
