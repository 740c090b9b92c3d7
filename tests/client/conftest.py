"""A world that is there for all tests of a file, and a client of each kind that looks at it.

It goes with the file: a service that goes on in its thread would disturb whoever looks at Python's one `random`.
"""

from collections.abc import Iterator

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from streamer import client as inspecting
from streamer.client import Client
from tests.client.world import World, a_world


@pytest.fixture(scope="module")
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal() as portal:
        yield portal


@pytest.fixture(scope="module")
def world(portal: BlockingPortal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STREAMER_HOME", str(folder / "home"))
        patch.setenv("STREAMER_PROXY", "none")
        patch.chdir(folder)
        with portal.wrap_async_context_manager(a_world(folder)) as world:
            yield world


@pytest.fixture(params=["store", "service"])
def place(request: pytest.FixtureRequest, world: World) -> str:
    return str(getattr(world, request.param))


@pytest.fixture
def client(place: str, world: World) -> Iterator[Client]:
    with world.opened(place) as client:
        yield client
    inspecting.default_namespace()
