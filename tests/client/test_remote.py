"""A service that wants to know who asks, and one that is none."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal

from streamer.client import Client, FlowRun
from streamer.errors import AuthenticationFailed, ConfigError, SourceError
from streamer.testing import FakePrefect
from tests.client.world import FOX, World
from tests.place import Place

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def guarded(portal: BlockingPortal, tmp_path: Path) -> Iterator[str]:
    """A service with a token, and with a name and a password."""
    with portal.wrap_async_context_manager(FakePrefect()) as server:
        access = {"token": "s3cret", "username": "ann", "password": "pass:word"}
        with portal.wrap_async_context_manager(Place(tmp_path, server).running(access=access)) as service:
            yield portal.call(service.started)


@pytest.mark.parametrize("credentials", [{"token": "s3cret"}, {"auth_string": "ann:pass:word"}])
def test_who_is_known_is_answered(guarded: str, credentials: dict[str, Any]) -> None:
    with Client(guarded, **credentials) as client:
        assert client.flows == []


@pytest.mark.parametrize("credentials", [{}, {"token": "guess"}, {"auth_string": "ann:guess"}])
def test_who_is_not_known_is_told_so(guarded: str, credentials: dict[str, Any]) -> None:
    with Client(guarded, **credentials) as client, pytest.raises(AuthenticationFailed) as caught:
        list(client.find_runs())
    assert caught.value.hint == "give a token, or an auth_string"


def test_a_service_that_is_not_there_is_a_clear_error() -> None:
    with Client(NOWHERE) as client, pytest.raises(SourceError, match="does not answer"):
        client["etl"]


def test_the_server_is_not_chosen_for_a_service(world: World) -> None:
    with pytest.raises(ConfigError, match="a service asks its own Prefect server"):
        Client(world.service, api_url=world.api_url)


def test_an_address_that_is_none_is_a_clear_error() -> None:
    with pytest.raises(ConfigError, match="is no address"):
        Client("http://")


def test_a_server_that_is_not_there_leaves_what_the_store_knows(world: World) -> None:
    with Client(world.store, api_url=f"{NOWHERE}/api") as client:
        run = FlowRun("etl/amber-owl", client)
        assert run.exception is not None
        assert run.exception.kind == "ValueError"
        assert run._ipython_key_completions_() == []
        with pytest.raises(SourceError):
            run.logs()


def test_a_run_that_the_server_does_not_know_is_said_to_be_so(world: World, portal: BlockingPortal) -> None:
    with (
        portal.wrap_async_context_manager(FakePrefect()) as other,
        Client(world.store, api_url=other.api_url) as client,
        pytest.raises(SourceError, match="knows no run"),
    ):
        assert client.flow_run(FOX.id).code


def test_a_closed_client_opens_again(place: str, world: World) -> None:
    client = world.opened(place)
    for _ in range(2):
        assert client["etl"].name == "etl"
        client.close()
