"""A service that was away for longer than the server's websocket reaches back: REST brings what happened meanwhile."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from streamer.demo.server import PrefectServer
from streamer.demo.truth import Truth
from streamer.testing import an_event
from tests import patient
from tests.end_to_end.test_flood import post, prefects_own
from tests.running import running

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(400)]

MISSED = 2_000
REACH = timedelta(seconds=3)
SHORT_REACH = {"PREFECT_SERVER_EVENTS_MAXIMUM_WEBSOCKET_BACKFILL": f"PT{REACH.seconds}S"}


def test_outage_longer_than_the_websocket_reaches_back_loses_nothing(
    tmp_path_factory: pytest.TempPathFactory, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = folder / "theirs"
    with (
        PrefectServer(tmp_path_factory.mktemp("short-reach"), SHORT_REACH) as prefect,
        running(folder, prefect.api_url) as service,
    ):
        before = post(prefect, 1, batch=1)
        service.wait_until(lambda: set(service.ids()) == before)
        assert service.stop() == 0
        missed, truth = post(prefect, MISSED), Truth(prefect.api_url)
        written_by = datetime.now(UTC) + REACH
        service.wait_until(lambda: truth.total() == 1 + MISSED and datetime.now(UTC) > written_by)
        with prefects_own(prefect, seen):
            service.wait_until(seen.exists)
            service.start()
            after = an_event()
            patient.post(f"{prefect.api_url}/events", json=[after]).raise_for_status()
            service.wait_until(lambda: len(service.ids()) >= 2 + MISSED)
            service.wait_until(lambda: after["id"] in seen.read_text())
            theirs = len(missed & set(seen.read_text().split()))
        assert theirs == 0, "the outage was too short to be one"
        assert sorted(service.ids()) == sorted(before | missed | {after["id"]})
        service.wait_until(lambda: service.counted("prefect_flow_run_transitions_total") == 2 + MISSED)
        swept = service.counted("prefect_streamer_events_recovered_total", net="sweep")
        assert MISSED <= swept <= MISSED + 2
        with capsys.disabled():
            print(f"\nof {MISSED} events in an outage Prefect's own subscriber got {theirs}, streamer's sweep {swept}")
        truth.close()
