"""A sink's connection: made when it is needed, and not used again after it failed.

What a failed connection still holds could otherwise arrive between what a new one brings. Whatever fails in its use
comes out as `Retry`, with a sentence that names the destination.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any, Generic, TypeVar

from streamer.errors import Retry

ANSWER_SECONDS = 20.0
"""How long a destination may take to acknowledge, below the time-out of a write."""
CLOSE_SECONDS = 2.0
"""How long a destination may take to say goodbye."""

C = TypeVar("C")


class Link(Generic[C]):
    """`async with link.use() as connection:`; `errors` are those of the library, besides `OSError`."""

    def __init__(
        self,
        name: str,
        *,
        make: Callable[[], C],
        connect: Callable[[C], Awaitable[object]],
        disconnect: Callable[[C], Awaitable[object]],
        errors: tuple[type[Exception], ...],
    ) -> None:
        self._name = name
        self._make = make
        self._connect = connect
        self._disconnect = disconnect
        self._errors: tuple[type[Exception], ...] = (OSError, *errors)
        self._connection: C | None = None

    @asynccontextmanager
    async def use(self) -> AsyncIterator[C]:
        """Give the connection, which is closed if the block fails, is cancelled, or takes too long."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                yield await self._connected()
        except TimeoutError as error:
            await self.close()
            raise Retry(f"{self._name} did not answer in time") from error
        except self._errors as error:
            await self.close()
            raise Retry(f"{self._name}: {str(error) or type(error).__name__}") from error
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Disconnect, if connected."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*self._errors):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._disconnect(connection)

    async def _connected(self) -> C:
        if self._connection is None:
            self._connection = self._make()
            await self._connect(self._connection)
        return self._connection


async def all_unless_lost(lost: Awaitable[object], acknowledgements: Iterable[Awaitable[object]]) -> None:
    """Return when all is acknowledged; raise what the first failure raises, or `ConnectionError` if `lost` ends first.

    The work is begun in the order given.
    """

    async def all_acknowledged() -> None:
        await asyncio.gather(*acknowledgements)

    all_of_it, watch = asyncio.ensure_future(all_acknowledged()), asyncio.ensure_future(lost)
    either: set[asyncio.Future[Any]] = {all_of_it, watch}
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not all_of_it.done():
            raise ConnectionError("the connection was lost")
        await all_of_it
    finally:
        all_of_it.cancel()
        watch.cancel()
