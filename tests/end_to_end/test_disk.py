"""A disk that lets nothing be written: the service says so, and goes on by itself when it can."""

import resource
import sys
from pathlib import Path

import pytest

from streamer.demo.server import PrefectServer
from streamer.testing import an_event
from tests import patient
from tests.running import RunningService, running

pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform != "linux", reason="limits of another process are set by prlimit"),
]

NO_LIMIT = resource.RLIM_INFINITY


def limit_files(service: RunningService, size: int) -> None:
    """Let no file of the service grow beyond so many bytes: what a full disk does, to this process alone."""
    assert service.process
    resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (size, NO_LIMIT))


def post(prefect: PrefectServer, number: int) -> set[str]:
    events = [an_event() for _ in range(number)]
    patient.post(f"{prefect.api_url}/events", json=events).raise_for_status()
    return {event["id"] for event in events}


def what_is_missing(service: RunningService) -> str:
    """Return what `/readyz` says, with its status."""
    answer = patient.get(f"{service.address}/readyz")
    return f"{answer.status_code} {answer.json()['missing']}"


def test_when_nothing_can_be_written_the_service_waits_and_then_catches_up(
    prefect: PrefectServer, folder: Path
) -> None:
    with running(folder, prefect.api_url) as service:
        before = post(prefect, 10)
        service.wait_until(lambda: before <= set(service.ids()))
        limit_files(service, 4096)
        meanwhile = post(prefect, 200)
        service.wait_until(lambda: what_is_missing(service).startswith("503"))
        service.wait_until(lambda: "cannot write to the store" in what_is_missing(service))
        assert not meanwhile & set(service.ids())
        assert "prefect_streamer_store_writable 0.0" in patient.get(f"{service.address}/metrics").text
        limit_files(service, NO_LIMIT)
        service.wait_until(service.is_ready)
        service.wait_until(lambda: meanwhile <= set(service.ids()))
        ids = service.ids()
        assert len(ids) == len(set(ids)), "an id is there twice"
        assert service.stop() == 0
    said = service.log.read_text()
    assert "waiting for the disk" in said
    assert "can be written again" in said


def test_a_stop_while_nothing_can_be_written_ends_with_a_sentence_and_loses_nothing(
    prefect: PrefectServer, folder: Path
) -> None:
    with running(folder, prefect.api_url, STREAMER_GRACE="1s") as service:
        limit_files(service, 4096)
        meanwhile = post(prefect, 200)
        service.wait_until(lambda: "cannot write to the store" in what_is_missing(service))
        assert service.stop() == 1
        assert "hint:" in service.log.read_text()
        assert "Traceback" not in service.log.read_text()
        service.start()
        service.wait_until(lambda: meanwhile <= set(service.ids()))
