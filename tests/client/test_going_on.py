"""Runs that go on while they are looked at."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from anyio.from_thread import BlockingPortal

from streamer.client import Client, session
from tests.client.world import Told, World, a_world, soon

STATES = ("PENDING", "RUNNING", "COMPLETED")


@pytest.fixture(scope="module")
def world(portal: BlockingPortal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world of its own, which may change."""
    folder = tmp_path_factory.mktemp("going-on")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STREAMER_HOME", str(folder / "home"))
        patch.setenv("STREAMER_PROXY", "none")
        with portal.wrap_async_context_manager(a_world(folder)) as world:
            yield world


@pytest.fixture
def told() -> Told:
    return Told(f"goes on {uuid4()}", "goes-on", f"flow {uuid4()}", STATES, 50)


def publish(portal: BlockingPortal, world: World, *events: dict[str, Any]) -> None:
    portal.call(lambda: world.server.publish(*events))


def test_following_begins_with_what_has_happened_and_ends_with_the_run(
    client: Client, portal: BlockingPortal, world: World, told: Told
) -> None:
    first, *others = told.events()
    publish(portal, world, first)
    soon(lambda: list(client.find_runs(id=told.id)))
    seen = []
    for transition in client.follow(told.id, every=0.01):
        seen.append(transition.after.name)
        if others:
            publish(portal, world, others.pop(0))
    assert seen == ["Pending", "Running", "Completed"]


def test_a_run_that_is_held_goes_on(
    client: Client, portal: BlockingPortal, world: World, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    *before, last = told.events()
    publish(portal, world, *before)
    (run,) = soon(lambda: list(client.find_runs(id=told.id, state="RUNNING")))
    view = client.view(run.id)
    assert not run.successful
    publish(portal, world, last)
    monkeypatch.setattr(session, "FRESH_SECONDS", 0.0)
    assert soon(lambda: run.successful)
    assert not view.state.is_finished()
    assert view.get_latest().state.is_successful()


def test_pages_are_joined_and_each_run_comes_once(
    client: Client, portal: BlockingPortal, world: World, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "FIRST_PAGE", 2)
    monkeypatch.setattr(session, "PAGE_MOST", 3)
    runs = [replace(told, key=f"{told.key} {number}", minute=50 + number) for number in range(9)]
    publish(portal, world, *(event for run in runs for event in run.events()))
    soon(lambda: len(list(client.find_runs(flow=told.flow))) == len(runs))
    assert [run.id for run in client[told.flow]] == [run.id for run in reversed(runs)]
