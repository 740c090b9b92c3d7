"""The thread on which what is asynchronous is done for somebody who is not."""

import asyncio
import threading

import pytest

from streamer.client import Client, FlowRun
from streamer.client.background import Background
from tests.client.world import FOX, World


async def on_which_thread() -> str:
    return threading.current_thread().name


async def nothing() -> None:
    pass


def threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "streamer-client"]


async def test_a_client_answers_where_a_loop_runs_as_in_a_notebook(world: World) -> None:
    assert asyncio.get_running_loop().is_running()
    with Client(world.store, api_url=world.api_url) as client:
        assert FlowRun("etl/crimson-fox", client).id == FOX.id


def test_work_is_done_on_a_thread_that_ends() -> None:
    background, before = Background(), threads()
    assert background.do(on_which_thread()) == "streamer-client"
    background.end(nothing())
    assert threads() == before


def test_what_was_never_begun_ends() -> None:
    Background().end(nothing())


def test_it_begins_again_after_its_end() -> None:
    background = Background()
    for _ in range(2):
        assert background.do(on_which_thread()) == "streamer-client"
        background.end(nothing())


def test_it_may_be_ended_on_its_own_thread() -> None:
    background, before = Background(), threads()

    async def ending() -> threading.Thread:
        background.end(nothing())
        return threading.current_thread()

    background.do(ending()).join(10)
    assert threads() == before


def test_what_is_raised_comes_out() -> None:
    async def failing() -> None:
        raise LookupError("nothing there")

    background = Background()
    with pytest.raises(LookupError, match="nothing there"):
        background.do(failing())
    background.end(nothing())


def test_a_client_that_is_forgotten_leaves_no_thread(world: World) -> None:
    before = threads()
    client = Client(world.store, api_url=world.api_url)
    assert client["etl"].name == "etl"
    (its,) = set(threads()) - set(before)
    del client
    assert not its.is_alive()
