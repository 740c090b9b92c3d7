"""Two real Prefect servers as sources of one service, one of which goes away for a while."""

from pathlib import Path
from typing import Any

import pytest

from streamer.demo.server import PrefectServer
from streamer.testing import an_event
from tests import patient
from tests.running import PREFECT_PYTHON, RunningService, running

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(300)]

SOON_SECONDS = 5.0


def post(server: PrefectServer) -> set[str]:
    """Have something happen there; return the ids of the events."""
    events = [an_event() for _ in range(20)]
    patient.post(f"{server.api_url}/events", json=events).raise_for_status()
    return {event["id"] for event in events}


def sources(service: RunningService) -> dict[str, dict[str, Any]]:
    """Return what the service says of its sources, by name."""
    told = patient.get(f"{service.address}/readyz").json()
    return {each["name"]: each for each in told["sources"]}


def test_a_server_that_is_down_is_told_of_and_the_others_events_flow(
    tmp_path_factory: pytest.TempPathFactory, folder: Path
) -> None:
    with (
        PrefectServer(tmp_path_factory.mktemp("north"), python=PREFECT_PYTHON) as north,
        PrefectServer(tmp_path_factory.mktemp("south"), python=PREFECT_PYTHON) as south,
        running(
            folder,
            "http://127.0.0.1:9/api",  # where there is none
            STREAMER_SOURCES__NORTH__API_URL=north.api_url,
            STREAMER_SOURCES__SOUTH__API_URL=south.api_url,
        ) as service,
    ):
        service.wait_until(lambda: not any(each["missing"] for each in sources(service).values()))
        posted = post(north) | post(south)
        service.wait_until(lambda: posted <= set(service.ids()))

        south.stop()
        service.wait_until(lambda: sources(service)["south"]["missing"])
        of_north = post(north)
        service.wait_until(lambda: of_north <= set(service.ids()), seconds=SOON_SECONDS)
        assert service.is_ready()
        assert sources(service)["north"]["missing"] is None
        assert service.counted("prefect_streamer_source_connected", source="north") == 1
        assert service.counted("prefect_streamer_source_connected", source="south") == 0

        service.stop()
        service.start()  # one that is down at the start is in nobody's way either
        assert sources(service)["south"]["missing"]
        of_north |= post(north)
        service.wait_until(lambda: of_north <= set(service.ids()))

        south.start()
        posted |= of_north | post(south)
        service.wait_until(lambda: posted == set(service.ids()))
        service.wait_until(lambda: not any(each["missing"] for each in sources(service).values()))
        service.wait_until(lambda: service.counted("prefect_flow_run_transitions_total") == len(posted))
        assert service.stop() == 0
