"""More at once than the server's queue holds: Prefect's own subscriber, run beside us, shows what is lost."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from math import inf
from pathlib import Path

import pytest

from schemas import Transition
from streamer.demo import server as servers
from streamer.demo.server import PrefectServer
from streamer.demo.truth import Truth
from streamer.model import Family
from streamer.store.maintenance import accounts
from streamer.testing import an_event
from tests import patient
from tests.running import RunningService, running
from tests.stored import stored

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(400)]

BURST, BATCH = 5_000, 1_000

FLOOD, WAVE, WAVE_BATCH, WAVE_PER_SECOND = 20_000, 4_000, 250, 1_500
"""The server's own queues hold 10,000, and what does not fit it never writes: a wave waits for the one before it."""

UNCHANGED_SECONDS = 7
WRITTEN_SECONDS = 60

PREFECTS_OWN = """
import asyncio, sys
from prefect.events.clients import get_events_subscriber
from prefect.events.filters import EventFilter, EventNameFilter

async def main():
    async with get_events_subscriber(filter=EventFilter(event=EventNameFilter(prefix=["prefect.flow-run."]))) as events:
        open(sys.argv[1], "a").close()
        async for event in events:
            with open(sys.argv[1], "a") as seen:
                seen.write(f"{event.id}\\n")

asyncio.run(main())
"""


@contextmanager
def prefects_own(server: PrefectServer, seen: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run Prefect's own subscriber, which writes the id of each event it gets."""
    process = server.spawn_python("-c", PREFECTS_OWN, str(seen))
    try:
        yield process
    finally:
        servers.stop(process)


def post(server: PrefectServer, number: int, *, batch: int = BATCH, most: float = inf) -> set[str]:
    """Post so many transitions in batches, at most so many a second; return their ids."""
    ids: set[str] = set()
    start = time.monotonic()
    with patient.client() as http:
        while len(ids) < number:
            time.sleep(max(0.0, start + len(ids) / most - time.monotonic()))  # the pace
            events = [an_event() for _ in range(batch)]
            http.post(f"{server.api_url}/events", json=events).raise_for_status()
            ids |= {event["id"] for event in events}
    return ids


def seconds_until_all_are_there(service: RunningService, ids: set[str]) -> float:
    start = time.monotonic()
    service.wait_until(lambda: ids <= set(service.ids()))
    return time.monotonic() - start


def wait_until_all_is_written(truth: Truth) -> int:
    """Return the server's total, once it has been the same for longer than the server keeps what it has not written."""
    deadline, since, total = time.monotonic() + WRITTEN_SECONDS, time.monotonic(), 0
    while not total or time.monotonic() < since + UNCHANGED_SECONDS:
        assert time.monotonic() < deadline, total
        time.sleep(0.5)  # the pace of asking: counting costs the server
        if total != (total := truth.total()):
            since = time.monotonic()
    return total


def test_burst_arrives_whole_and_once_where_prefects_own_subscriber_loses_most(
    tmp_path_factory: pytest.TempPathFactory, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with PrefectServer(tmp_path_factory.mktemp("burst")) as prefect, running(folder, prefect.api_url) as service:
        with prefects_own(prefect, folder / "theirs"):
            service.wait_until((folder / "theirs").exists)
            posted = post(prefect, BURST)
            taken = seconds_until_all_are_there(service, posted)
            theirs = len(posted & set((folder / "theirs").read_text().split()))
        assert taken < 30
        with closing(Truth(prefect.api_url)) as truth:
            service.wait_until(lambda: truth.total() >= BURST)
            assert sorted(service.ids()) == sorted(event["id"] for event in truth.events())
        service.wait_until(lambda: service.counted("prefect_flow_run_transitions_total") == BURST)
        assert service.stop() == 0
        (account,) = accounts(folder / ".streamer" / "streamer.db")
        assert account.on_server == sum(account.nets.values()) == BURST, "the account by net does not add up"
        with capsys.disabled():
            print(f"\nburst of {BURST}: Prefect's own subscriber got {theirs} ({theirs / BURST:.0%}), streamer all,")
            print(f"{account.nets} by net, the last {taken:.1f} s after the last post")


async def test_flood_arrives_whole_and_once_as_far_as_the_server_itself_took_it(
    tmp_path_factory: pytest.TempPathFactory, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        PrefectServer(tmp_path_factory.mktemp("flood")) as prefect,
        running(folder, prefect.api_url) as service,
        closing(Truth(prefect.api_url)) as truth,
    ):
        with prefects_own(prefect, folder / "theirs"):
            service.wait_until((folder / "theirs").exists)
            start = time.monotonic()
            posted: set[str] = set()
            for _ in range(FLOOD // WAVE):
                service.wait_until(lambda: truth.total() >= len(posted) - WAVE)
                posted.update(post(prefect, WAVE, batch=WAVE_BATCH, most=WAVE_PER_SECOND))
            speed = FLOOD / (time.monotonic() - start)
            wait_until_all_is_written(truth)
            written = {event["id"] for event in truth.events()}
            taken = seconds_until_all_are_there(service, written)
            theirs = len(posted & set((folder / "theirs").read_text().split()))
        assert taken < 30
        ours = service.ids()
        assert len(set(ours)) == len(ours), "an id is there twice"
        assert written <= set(ours) <= posted  # the websocket may bring what the server then fails to write
        service.wait_until(lambda: service.counted("prefect_flow_run_transitions_total") == len(ours))
        recovered = service.counted("prefect_streamer_events_recovered_total")
        assert service.stop() == 0
    records, counts = await stored(service)
    assert sorted(str(each.event.id) for each in records if isinstance(each.event, Transition)) == sorted(ours)
    assert counts[Family.TRANSITIONS] == len(ours)
    with capsys.disabled():
        print(f"\nflood of {FLOOD} at {speed:.0f} a second: the server wrote {len(written)}, Prefect's own subscriber")
        print(f"got {theirs} ({theirs / FLOOD:.0%}), streamer {len(ours)}, {recovered} of them by the sweep; all that")
        print(f"was written it had {taken:.1f} s after that was known")
