"""All kinds of sinks at once, on a real Prefect server: one that misbehaves hurts no other, and no kill loses anything.

Whatever a destination without a key has twice, it has first in the order of the log.
"""

import asyncio
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from streamer.demo.server import PrefectServer
from streamer.sinks.lines_file import whole_lines
from streamer.testing import an_event, until
from tests import patient
from tests.end_to_end.test_stopping import Load
from tests.running import RunningService, isolated, running
from tests.services.deliveries import first_occurrences
from tests.services.destinations import Destination, as_toml, hooked, one_of_each, to_hook
from tests.sinks.receiver import Reply
from tests.stored import stored

pytestmark = [pytest.mark.services, pytest.mark.timeout(300)]

BURST, POSTED_AT_ONCE = 5_000, 1_000
STALLED = "nats"
SHARE_OF_FAILURES = 0.3
SEED = 6

PER_SECOND, MISSED, KILLS = 50, 25, 2
PACE_SECONDS, DEADLINE_SECONDS = 0.05, 100

SLOWER_AT_MOST, SECONDS_OF_NOISE = 3, 0.25
"""How much longer a record may wait beside those that misbehave; one that held up the others did so for seconds."""


@pytest.fixture
def prefect(tmp_path: Path) -> Iterator[PrefectServer]:
    with PrefectServer(tmp_path / "prefect") as server:
        yield server


@asynccontextmanager
async def delivering(
    folder: Path, prefect: PrefectServer, destinations: Collection[Destination]
) -> AsyncIterator[RunningService]:
    """Run a service that has these sinks, and hears of what happens from now on."""
    (home := folder / ".streamer").mkdir()
    (home / "streamer.toml").write_text(as_toml(destinations))
    with running(folder, prefect.api_url, STREAMER_SINCE="1s") as service:
        yield service


def asking(service: RunningService) -> httpx.AsyncClient:
    return patient.async_client(base_url=service.address, verify=False)


async def progress(http: httpx.AsyncClient) -> tuple[int, dict[str, int]]:
    """Return the log's head, and how far each sink is behind it."""
    status = (await http.get("/readyz")).json()
    return status["head"], {each["name"]: each["behind"] for each in status["sinks"]}


async def until_progress(service: RunningService, is_enough: Callable[[int, Mapping[str, int]], bool]) -> None:
    async with asking(service) as http, asyncio.timeout(DEADLINE_SECONDS):
        while not is_enough(*await progress(http)):  # noqa: ASYNC110 - another process makes it true
            await asyncio.sleep(PACE_SECONDS)


async def until_log_has(service: RunningService, least: int) -> None:
    await until_progress(service, lambda head, _: head >= least)


async def until_all_have_all(service: RunningService, least: int) -> None:
    await until_progress(service, lambda head, behind: head >= least and not any(behind.values()))


async def streamer(service: RunningService, *arguments: str) -> str:
    """Run a command on the service's store, and return what it says."""
    command = [sys.executable, "-m", "streamer", *arguments]
    environment = {**isolated(service.folder), "COLUMNS": "250"}
    done = await asyncio.to_thread(subprocess.run, command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def post(server: PrefectServer, events: Sequence[Mapping[str, Any]]) -> None:
    with patient.client() as http:
        for start in range(0, len(events), POSTED_AT_ONCE):
            batch = events[start : start + POSTED_AT_ONCE]
            http.post(f"{server.api_url}/events", json=batch).raise_for_status()


async def waits(
    service: RunningService, server: PrefectServer, events: Sequence[Mapping[str, Any]], sinks: Collection[str]
) -> dict[str, float]:
    """Post a burst; return how long a record waited in the log for each of these sinks, when they have all of it.

    The mean wait is the sum of the lag over time by the number that came (Little's law).
    """
    lag_seconds, looked = dict.fromkeys(sinks, 0.0), time.monotonic()
    async with asking(service) as http, asyncio.timeout(DEADLINE_SECONDS):
        end = (await progress(http))[0] + len(events)
        posting = asyncio.create_task(asyncio.to_thread(post, server, events))
        head, behind = 0, dict[str, int]()
        while head < end or any(behind[name] for name in sinks):
            await asyncio.sleep(PACE_SECONDS)
            head, behind = await progress(http)
            looked, since = time.monotonic(), looked
            for name in sinks:
                lag_seconds[name] += behind[name] * (looked - since)
    await posting
    return {name: total / len(events) for name, total in lag_seconds.items()}


def failing_at_times(share: float) -> Callable[[object], Reply]:
    dice = random.Random(SEED)
    return lambda _: Reply(503 if dice.random() < share else 200)


async def log_of(service: RunningService) -> list[str]:
    """Return the ids of all records, when the service has ended."""
    return [str(record.event.id) for record in (await stored(service))[0]]


def lines_of(service: RunningService) -> list[str]:
    """Return the ids that are in its file, notices included."""
    return [orjson.loads(line)["id"] for line in whole_lines(service.file)]


async def assert_has_all(destination: Destination, log: Sequence[str]) -> None:
    found = await destination.ids()
    arrived = found if destination.once else first_occurrences(found)
    assert arrived == log, destination.name


async def test_one_that_stalls_one_that_fails_and_one_that_refuses_hurt_no_other(
    prefect: PrefectServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with one_of_each(tmp_path) as kinds, hooked() as (flaky, _), hooked() as (picky, _):
        kinds |= {"flaky": to_hook("flaky", flaky), "picky": to_hook("picky", picky)}
        healthy = kinds.keys() - {STALLED, "flaky", "picky"}
        async with delivering(tmp_path, prefect, kinds.values()) as service:
            before = await waits(service, prefect, [an_event() for _ in range(BURST)], healthy)
            await until_all_have_all(service, BURST)
            events = [an_event() for _ in range(BURST)]
            poisoned = {events[place]["id"] for place in (BURST // 4, BURST // 2, BURST - 1)}
            flaky.answer = failing_at_times(SHARE_OF_FAILURES)
            picky.answer = lambda ids: Reply(422, body="poisoned") if poisoned.intersection(ids) else Reply()
            await kinds[STALLED].does["pause"]()
            beside = await waits(service, prefect, events, healthy)
            async with asking(service) as http:
                assert (await progress(http))[1][STALLED] > BURST // 2, "it has not stalled"
            await kinds[STALLED].does["resume"]()
            await until_all_have_all(service, 2 * BURST)
            assert not poisoned.intersection(picky.taken)
            listed = await streamer(service, "dead-letters", "list", "picky")
            assert listed.count("answered 422: poisoned") == len(poisoned)
            picky.answer = lambda _: Reply()
            assert await streamer(service, "dead-letters", "retry", "picky", "--all") == "picky took 3 of 3\n"
            assert await asyncio.to_thread(service.stop) == 0
        log = await log_of(service)
        assert len(log) == 2 * BURST
        assert set(picky.taken[-3:]) == poisoned
        assert first_occurrences(picky.taken[:-3]) == [each for each in log if each not in poisoned]
        for kind in kinds.keys() - {"picky"}:
            await assert_has_all(kinds[kind], log)
        assert lines_of(service) == log
    with capsys.disabled():
        print(f"\n{len(kinds) + 1} sinks, {BURST} records: how long a record waited for a healthy sink, in ms")
        for name in sorted(healthy):
            print(f"{name:>9}: {before[name] * 1000:4.0f}, beside those that misbehave {beside[name] * 1000:4.0f}")
    for name in healthy:
        assert beside[name] < SLOWER_AT_MOST * before[name] + SECONDS_OF_NOISE, name


async def kill(service: RunningService) -> None:
    """End the service at once, wherever it is, and start it again."""
    await asyncio.to_thread(service.stop, signal.SIGKILL)
    await asyncio.to_thread(service.start)


async def interrupt(destination: Destination, load: Load) -> None:
    """Kill a destination that has something, and start it again when there is more that it has not."""
    had = set(await destination.ids())
    await destination.does["kill"]()
    more = len(load.posted) + MISSED
    await until(lambda: len(load.posted) > more)
    assert 0 < len(had) < len(load.posted), destination.name
    await destination.does["start"]()


async def test_brokers_and_service_killed_in_the_middle_lose_nothing_and_repeat_only_where_there_is_no_key(
    prefect: PrefectServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with one_of_each(tmp_path) as kinds, delivering(tmp_path, prefect, kinds.values()) as service:
        served = [each for each in kinds.values() if each.does]
        with Load(prefect, most=PER_SECOND) as load:
            for number in range(1, 1 + KILLS):
                await until_log_has(service, number * MISSED)
                await kill(service)
            for each in served:
                await interrupt(each, load)
            # The brokers first: librdkafka's mock has aborted when it was taken down while the service connected to it.
            await asyncio.gather(*(each.does["kill"]() for each in served))
            await kill(service)
            await asyncio.gather(*(each.does["start"]() for each in served))
            await kill(service)
        await asyncio.to_thread(service.wait_until, lambda: set(load.posted) <= set(service.ids()))
        await until_all_have_all(service, len(load.posted))
        assert await asyncio.to_thread(service.stop) == 0
        log = await log_of(service)
        assert set(load.posted) <= set(log)
        for each in kinds.values():
            await assert_has_all(each, log)
        assert first_occurrences(lines_of(service)) == log
        with capsys.disabled():
            repeated = {each.name: len(await each.ids()) - len(log) for each in kinds.values() if not each.once}
            print(f"\n{len(log)} records, everything killed in the middle: so many were repeated: {repeated}")
