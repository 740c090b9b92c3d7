"""What an idle service costs the server: counted by the server, in its access log."""

import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from streamer.demo.server import PrefectServer
from tests.running import RunningService, running

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(400)]

MOMENT, MINUTE = 3, 60
AT_LEAST, AT_MOST = 4, 12
"""It compares the newest 15 s four times a minute, and should not ask much more than that."""

REQUESTS = "prefect_streamer_api_requests_total"

ACCESS = re.compile(r'"(?:GET|POST) (/api/\S+) HTTP/1\.1" \d+')


def requests_seen(server: PrefectServer) -> Counter[str]:
    """Return how often each path was asked for, but for the question whether the server is up."""
    return Counter(path for path in ACCESS.findall(server.log.read_text()) if path != "/api/health")


def start_is_over(service: RunningService) -> Callable[[], bool]:
    """Return a condition: a moment has passed without a request."""
    seen, since = 0, time.monotonic()

    def condition() -> bool:
        nonlocal seen, since
        if seen != (seen := service.counted(REQUESTS)):
            since = time.monotonic()
        return time.monotonic() > since + MOMENT

    return condition


def test_idle_service_asks_the_server_at_most_12_times_a_minute(
    tmp_path_factory: pytest.TempPathFactory, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    says_who_asks = {"PREFECT_LOGGING_SERVER_LEVEL": "INFO"}
    with (
        PrefectServer(tmp_path_factory.mktemp("idle"), says_who_asks) as prefect,
        running(folder, prefect.api_url) as service,
    ):
        service.wait_until(start_is_over(service))
        at_start, said_at_start = requests_seen(prefect), service.counted(REQUESTS)
        time.sleep(MINUTE)  # what is measured, not a wait for an effect
        said, asked = service.counted(REQUESTS) - said_at_start, requests_seen(prefect) - at_start
    with capsys.disabled():
        print(f"\na start asked the server {at_start.total()} times, an idle minute {asked.total()}: {dict(asked)}")
    assert AT_LEAST <= asked.total() <= AT_MOST
    assert abs(said - asked.total()) <= 1, "the service's own metric tells something else"
