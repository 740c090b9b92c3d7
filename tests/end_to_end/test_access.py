"""A real Prefect server that wants a password and CSRF tokens."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamer.demo.server import PrefectServer
from streamer.testing import an_event
from tests import patient
from tests.running import isolated, running

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(300)]

PASSWORD = "admin:s3cret:with colons"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    settings = {
        "PREFECT_SERVER_API_AUTH_STRING": PASSWORD,
        "PREFECT_API_AUTH_STRING": PASSWORD,
        "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
    }
    with PrefectServer(tmp_path_factory.mktemp("guarded"), settings) as server:
        yield server


def publish(server: PrefectServer, event: dict[str, object]) -> None:
    user, _, password = PASSWORD.partition(":")
    with patient.client(auth=(user, password)) as http:
        answer = http.get(f"{server.api_url}/csrf-token", params={"client": "test"}).raise_for_status()
        headers = {"Prefect-Csrf-Client": "test", "Prefect-Csrf-Token": answer.json()["token"]}
        http.post(f"{server.api_url}/events", json=[event], headers=headers).raise_for_status()


def test_events_come_with_the_right_password(guarded: PrefectServer, folder: Path) -> None:
    secret = folder / "secret"
    secret.write_text(PASSWORD + "\n")
    with running(folder, guarded.api_url, STREAMER_AUTH_STRING_FILE=str(secret)) as service:
        event = an_event()
        publish(guarded, event)
        service.wait_until(lambda: service.ids() == [event["id"]])
        assert PASSWORD not in service.log.read_text()


@pytest.mark.parametrize("given", ["admin:letmein", ""])
def test_wrong_or_no_password_ends_the_service_with_status_3_and_a_hint(
    guarded: PrefectServer, folder: Path, given: str
) -> None:
    command = [sys.executable, "-m", "streamer", "run", "--listen", "127.0.0.1:0", "--api-url", guarded.api_url]
    environment = {**isolated(folder), "PREFECT_API_AUTH_STRING": given}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=30)
    assert result.returncode == 3, result.stderr
    assert "hint: check PREFECT_API_KEY (Cloud) or PREFECT_API_AUTH_STRING" in result.stderr
    assert "Traceback" not in result.stderr
    assert "letmein" not in result.stderr
