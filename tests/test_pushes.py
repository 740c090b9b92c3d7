"""A whole service pushes what it has counted, and goes on where it was after a restart."""

import re
import socket
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from streamer.errors import ConfigError
from streamer.testing import FakePrefect, an_event
from tests.place import Place
from tests.push.test_otlp import Collector, collecting

TRANSITIONS = "prefect_flow_run_transitions_total"


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with FakePrefect() as server:
        yield Place(tmp_path, server)


@pytest.fixture
def agent() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as agent:
        agent.bind(("127.0.0.1", 0))
        agent.setblocking(False)
        yield agent


def told(agent: socket.socket) -> dict[str, float]:
    """Return what came since by name, summed."""
    found: dict[str, float] = defaultdict(float)
    while True:
        try:
            lines = agent.recv(65_536).decode()
        except BlockingIOError:
            return found
        for name, value in re.findall(r"^(\w+):([\d.]+)\|c", lines, re.MULTILINE):
            found[name] += float(value)


async def work(place: Place, number: int, **changes: Any) -> None:
    async with place.running(**changes):
        events = [an_event() for _ in range(number)]
        place.server.publish(*events)
        await place.has(*events)


async def test_an_agent_is_told_each_transition_once_over_a_restart(place: Place, agent: socket.socket) -> None:
    push = {"up": {"type": "statsd", "host": "127.0.0.1", "port": agent.getsockname()[1]}}
    await work(place, 3, push=push)
    assert told(agent)[TRANSITIONS] == 3
    await work(place, 2, push=push)
    assert told(agent)[TRANSITIONS] == 2


async def test_a_collector_is_told_totals_that_began_with_the_store(place: Place) -> None:
    with collecting() as collector:
        push = {"up": {"type": "otlp", "endpoint": collector.address}}
        await work(place, 3, push=push)
        first = shown(collector)
        await work(place, 2, push=push)
        second = shown(collector)
    assert (first[0], second[0]) == (3, 5)
    assert first[1] == second[1]


def shown(collector: Collector) -> tuple[float, int]:
    """Return the total of transitions in the newest request, and when it began."""
    points = collector.metrics()[TRANSITIONS].sum.data_points
    newest = max(each.time_unix_nano for each in points)
    (start,) = {each.start_time_unix_nano for each in points}
    return sum(each.as_double for each in points if each.time_unix_nano == newest), start


async def test_a_push_that_is_set_wrong_is_refused_at_the_start(place: Place) -> None:
    with pytest.raises(ConfigError, match=r"push\.up: project: "):
        await place.service(push={"up": {"type": "gcp"}}).run()
