"""The service on a store in PostgreSQL, and a real Prefect server: killed and started again, it has all, once."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streamer.cli import app
from streamer.demo.server import PrefectServer
from streamer.demo.truth import Truth
from streamer.errors import ConfigError
from streamer.store.postgres import DatabasePlace
from tests import patient
from tests.end_to_end.test_stopping import Load
from tests.running import RunningService, running
from tests.services.postgres_server import PostgresServer, served

pytestmark = [pytest.mark.services, pytest.mark.timeout(300)]


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    yield from served()


def test_a_service_that_was_killed_goes_on_where_it_stopped(tmp_path: Path, postgres: PostgresServer) -> None:
    with (
        PrefectServer(tmp_path / "prefect") as prefect,
        running(tmp_path, prefect.api_url, STREAMER_STORE=postgres.url) as service,
        Load(prefect, most=200) as load,
    ):
        for _ in range(2):
            more = len(service.ids()) + 100
            service.wait_until(lambda more=more: len(service.ids()) > more)  # type: ignore[misc]
            service.stop(signal.SIGKILL)
            service.start()
        load.stop()
        with closing(Truth(prefect.api_url)) as truth:
            service.wait_until(lambda: truth.total() == len(load.posted))
        service.wait_until(lambda: set(load.posted) == set(service.ids()))
        service.wait_until(lambda: service.counted("prefect_flow_run_transitions_total") == len(load.posted))
        told = asked("check", "--store", postgres.url, "--api-url", prefect.api_url)
        assert f"in use by the service at {service.address}" in told
        assert service.stop() == 0
    assert "jsonl" in asked("sinks", "list", "--store", postgres.url)
    assert "there are no dead letters" in asked("dead-letters", "list", "--store", postgres.url)
    refused = CliRunner().invoke(app, ["store", "info", "--store", postgres.url])
    assert isinstance(refused.exception, ConfigError)
    assert "pg_dump" in (refused.exception.hint or "")


def test_a_database_that_goes_down_is_waited_for(tmp_path: Path, postgres: PostgresServer) -> None:
    with (
        PrefectServer(tmp_path / "prefect") as prefect,
        running(tmp_path, prefect.api_url, STREAMER_STORE=postgres.url) as service,
        Load(prefect, most=100) as load,
    ):
        service.wait_until(lambda: len(service.ids()) > 100)
        postgres.kill()
        service.wait_until(lambda: not service.is_ready())
        assert "cannot write to the store" in patient.get(f"{service.address}/readyz").text
        assert "prefect_streamer_store_writable 0.0" in patient.get(f"{service.address}/metrics").text
        postgres.start()
        service.wait_until(service.is_ready)
        load.stop()
        service.wait_until(lambda: set(load.posted) == set(service.ids()))
        service.wait_until(lambda: service.counted("prefect_flow_run_transitions_total") == len(load.posted))
        assert service.stop() == 0


def test_a_service_that_was_frozen_stands_by_as_long_as_another_has_its_store(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    with (
        PrefectServer(tmp_path / "prefect") as prefect,
        running(tmp_path, prefect.api_url, STREAMER_STORE=postgres.url) as service,
        Load(prefect, most=100) as load,
    ):
        service.wait_until(lambda: len(service.ids()) > 100)
        assert service.process
        service.process.send_signal(signal.SIGSTOP)
        other = DatabasePlace.of(postgres.url).open()
        service.process.send_signal(signal.SIGCONT)
        service.wait_until(lambda: role(service) == "standby")
        assert "the store was taken over by process" in service.log.read_text()
        asyncio.run(other.close())
        service.wait_until(lambda: role(service) == "leader")
        load.stop()
        service.wait_until(lambda: set(load.posted) == set(service.ids()))
        assert service.stop() == 0


def role(service: RunningService) -> str:
    """Return whether a service leads or stands by."""
    return str(patient.get(f"{service.address}/readyz").json()["role"])


def asked(*arguments: str) -> str:
    """Return what a command says."""
    result = CliRunner().invoke(app, [*arguments])
    assert result.exit_code == 0, result.output
    return result.output
