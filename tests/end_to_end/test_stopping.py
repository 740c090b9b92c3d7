"""SIGTERM while events pour in."""

import signal
import threading
import time
from pathlib import Path
from uuid import uuid4

import pytest

from streamer.demo.server import PrefectServer
from streamer.demo.truth import Truth
from streamer.testing import an_event
from tests import patient
from tests.running import RunningService, running

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(300)]

BATCH = 50


class Load:
    """Post batches of events to a real server until told to stop, at most so many a second."""

    def __init__(self, server: PrefectServer, *, most: float = 1000) -> None:
        self._pause = BATCH / most
        self.run = str(uuid4())
        self.posted: list[str] = []
        self._url = f"{server.api_url}/events"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Post no more; what was posted is known by then."""
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        with patient.client() as http:
            while not self._stop.wait(self._pause):
                events = [an_event(run=self.run) for _ in range(BATCH)]
                http.post(self._url, json=events).raise_for_status()
                self.posted += [event["id"] for event in events]


def test_sigterm_under_load_exits_0_within_5_seconds_with_everything_committed(
    prefect: PrefectServer, truth: Truth, folder: Path
) -> None:
    with running(folder, prefect.api_url) as service:
        with Load(prefect) as load:
            service.wait_until(lambda: len(load.posted) > 500 and len(service.ids()) > 200)
            start = time.monotonic()
            assert service.stop() == 0
            assert time.monotonic() - start < 5
            stopped_at = len(service.ids())
        assert len(set(service.ids())) == stopped_at, "an id is there twice"
        service.start()
        service.wait_until(lambda: set(load.posted) <= {event["id"] for event in truth.events()})
        service.wait_until(lambda: set(load.posted) <= set(service.ids()))
        assert len(set(service.ids())) == len(service.ids()), "the restart repeated an id"
        service.wait_until(lambda: service.counted("prefect_flow_run_transitions_total") == len(service.ids()))


def test_second_signal_skips_the_grace(prefect: PrefectServer, folder: Path) -> None:
    stuck = folder / "a-folder.jsonl"
    stuck.mkdir()
    service = RunningService(folder, prefect.api_url, STREAMER_GRACE="1h")
    service.file = stuck
    service.start()
    assert service.process
    patient.post(f"{prefect.api_url}/events", json=[an_event()]).raise_for_status()
    service.wait_until(lambda: service.counted("prefect_streamer_sink_lag_records"))
    service.process.send_signal(signal.SIGTERM)
    service.wait_until(lambda: "stopping" in service.log.read_text())
    start = time.monotonic()
    assert service.stop() == 1
    assert time.monotonic() - start < 5
