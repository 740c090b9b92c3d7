"""A fake server, and the nets on it."""

from collections.abc import AsyncIterator

import pytest

from streamer.clock import ServerClock, SystemClock
from streamer.health import SourceHealth
from streamer.instruments import Instruments
from streamer.source.api import Api
from streamer.source.connection import Connection
from streamer.testing import FakePrefect


@pytest.fixture
async def server() -> AsyncIterator[FakePrefect]:
    async with FakePrefect() as fake:
        yield fake


@pytest.fixture
def health() -> SourceHealth:
    return SourceHealth("default", Instruments())


@pytest.fixture
def clock() -> ServerClock:
    return ServerClock(SystemClock())


@pytest.fixture
async def api(server: FakePrefect, clock: ServerClock) -> AsyncIterator[Api]:
    async with Api(Connection(server.api_url), clock, Instruments()) as api:
        yield api
