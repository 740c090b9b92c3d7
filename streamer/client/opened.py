"""The store and the servers of some settings, each opened when it is first asked; all on one event loop."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from uuid import UUID

from streamer.client.background import Background
from streamer.client.server import Server
from streamer.clock import ServerClock, SystemClock
from streamer.config import Settings
from streamer.connecting import connection_of
from streamer.errors import SourceError
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
        self._servers: dict[str, Server] = {}

    def ask_store(self, question: Callable[[SqlStore], Awaitable[T]]) -> T:
        """Return the answer of the store, which is only read."""

        async def asking() -> T:
            self._store = self._store or self._settings().place.open_read_only()
            return await question(self._store)

        return self._background.do(asking())

    def ask_server_of(self, run: UUID, question: Callable[[Server], Awaitable[T]]) -> T:
        """Return the answer of the Prefect server that a run is of; the first one's, if it is none we know."""
        sources = {each.source: each for each in self._settings().each_source}
        known = self.ask_store(lambda store: store.run(run)) if len(sources) > 1 else None
        source = known.source if known and known.source in sources else next(iter(sources))
        return self._background.do(self._asking(sources[source], question))

    def ask_servers(self, question: Callable[[Server], Awaitable[T | None]]) -> T | None:
        """Return the answer of the first Prefect server that has one; raise if none has, and one did not answer."""
        problem: SourceError | None = None
        for each in self._settings().each_source:
            try:
                if (found := self._background.do(self._asking(each, question))) is not None:
                    return found
            except SourceError as error:
                problem = error
        if problem:
            raise problem
        return None

    async def _asking(self, settings: Settings, question: Callable[[Server], Awaitable[T]]) -> T:
        if settings.source not in self._servers:
            api = Api(connection_of(settings), ServerClock(SystemClock()), Instruments())
            self._servers[settings.source] = Server(api)
        return await question(self._servers[settings.source])

    def close(self) -> None:
        """Close what is open, and end the thread."""
        self._background.end(self._close())

    async def _close(self) -> None:
        open_ones: list[Any] = [*self._servers.values(), *([self._store] if self._store else [])]
        self._store, self._servers = None, {}
        for each in open_ones:
            await each.close()
