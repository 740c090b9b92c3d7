"""More at once than the server's queue holds: Prefect's own subscriber, run beside us, shows what is lost."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from streamer.demo import server as servers
from streamer.demo.server import PrefectServer
from streamer.demo.truth import Truth
from streamer.testing import an_event
from tests.running import RunningService, running

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(180)]

BURST, BATCH = 5_000, 1_000

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


def post(server: PrefectServer, number: int) -> set[str]:
    """Post so many transitions in large batches; return their ids."""
    ids: set[str] = set()
    with httpx.Client(trust_env=False, timeout=60) as http:
        for _ in range(number // BATCH):
            events = [an_event() for _ in range(BATCH)]
            http.post(f"{server.api_url}/events", json=events).raise_for_status()
            ids |= {event["id"] for event in events}
    return ids


def seconds_until_all_are_there(service: RunningService, ids: set[str]) -> float:
    start = time.monotonic()
    service.wait_until(lambda: ids <= set(service.ids()))
    return time.monotonic() - start


def test_burst_arrives_whole_and_once_where_prefects_own_subscriber_loses_most(
    tmp_path_factory: pytest.TempPathFactory, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with PrefectServer(tmp_path_factory.mktemp("flooded")) as prefect, running(folder, prefect.api_url) as service:
        with prefects_own(prefect, folder / "theirs"):
            service.wait_until((folder / "theirs").exists)
            posted = post(prefect, BURST)
            taken = seconds_until_all_are_there(service, posted)
            theirs = len(posted & set((folder / "theirs").read_text().split()))
        assert taken < 30
        truth = Truth(prefect.api_url)
        service.wait_until(lambda: len(truth.events()) >= BURST)
        assert sorted(service.ids()) == sorted(event["id"] for event in truth.events())
        truth.close()
        service.wait_until(lambda: service.counted("prefect_flow_run_transitions_total") == BURST)
        recovered = service.counted("prefect_streamer_events_recovered_total")
        with capsys.disabled():
            print(f"\nburst of {BURST}: Prefect's own subscriber got {theirs} ({theirs / BURST:.0%}), streamer all,")
            print(f"{recovered} of them by the sweep, the last {taken:.1f} s after the last post")
