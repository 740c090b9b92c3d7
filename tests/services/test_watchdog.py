"""The alert that always fires goes from a real Prometheus over a real Alertmanager to whoever watches it."""

import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from streamer.demo.server import free_port
from streamer.testing import until
from tests.sinks.receiver import Receiver
from tests.test_deploy import DEPLOY, WATCHDOG, load

pytestmark = pytest.mark.services

ALERTMANAGER = DEPLOY / "alertmanager/alertmanager.yml"
FASTER = {"group_interval": "1s", "repeat_interval": "500ms"}


def program(name: str) -> str:
    found = shutil.which(name)
    assert found, f"{name} is missing: `make test-services` installs it"
    return found


def amtool(*arguments: str | Path) -> str:
    """Run amtool, fail with what it said, and return that."""
    command = [program("amtool"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def running(log: Path, *command: str) -> Iterator[None]:
    """Run a server for the length of the block."""
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            yield
        finally:
            process.terminate()


def documented_destination() -> list[dict[str, Any]]:
    """Return the destination that the comment above the watchdog's receiver shows."""
    text = ALERTMANAGER.read_text().partition("- name: nobody\n")[2]
    lines = [line.strip().removeprefix("#").removeprefix(" ") for line in text.splitlines() if line.startswith("  #  ")]
    return list(yaml.safe_load("\n".join(lines))["webhook_configs"])


def configured(folder: Path, url: str) -> Path:
    """Return Alertmanager's configuration with the documented destination at this address, and faster."""
    configuration, (destination,) = load(ALERTMANAGER), documented_destination()
    (receiver,) = [each for each in configuration["receivers"] if each["name"] == "watchdog"]
    receiver["webhook_configs"] = [{**destination, "url": url}]
    configuration["route"]["routes"][0].update(FASTER)
    (file := folder / "alertmanager.yml").write_text(yaml.safe_dump(configuration))
    return file


def prometheus_configured(folder: Path, alertmanager: str) -> Path:
    text = (DEPLOY / "prometheus/prometheus.yml").read_text().replace("15s", "1s")
    text = text.replace("/etc/prometheus/", f"{DEPLOY}/prometheus/").replace("alertmanager:9093", alertmanager)
    (file := folder / "prometheus.yml").write_text(text)
    return file


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


def test_the_configuration_of_alertmanager_is_accepted() -> None:
    assert "SUCCESS" in amtool("check-config", ALERTMANAGER)


def test_the_documented_destination_is_accepted(tmp_path: Path) -> None:
    assert "SUCCESS" in amtool("check-config", configured(tmp_path, documented_destination()[0]["url"]))


@pytest.mark.parametrize(("alert", "receiver"), [(WATCHDOG, "watchdog"), ("SinkDown", "nobody")])
def test_the_watchdog_goes_its_own_way_and_no_other_alert_goes_there(alert: str, receiver: str) -> None:
    said = amtool("config", "routes", "test", f"--config.file={ALERTMANAGER}", f"alertname={alert}")
    assert said.split() == [receiver]


async def test_it_arrives_again_and_again(receiver: Receiver, tmp_path: Path) -> None:
    alertmanager = f"127.0.0.1:{free_port()}"
    with (
        running(
            tmp_path / "alertmanager.log",
            program("prometheus-alertmanager"),
            f"--config.file={configured(tmp_path, receiver.url)}",
            f"--storage.path={tmp_path}/alertmanager",
            f"--web.listen-address={alertmanager}",
            "--cluster.listen-address=",
        ),
        running(
            tmp_path / "prometheus.log",
            program("prometheus"),
            f"--config.file={prometheus_configured(tmp_path, alertmanager)}",
            f"--storage.tsdb.path={tmp_path}/tsdb",
            f"--web.listen-address=127.0.0.1:{free_port()}",
            "--rules.alert.resend-delay=1s",  # what it sends before it knows of Alertmanager is lost
        ),
    ):
        await until(lambda: len(receiver.requests) >= 3)
    bodies = [orjson.loads(each.body) for each in receiver.requests]
    assert {(body["status"], body["commonLabels"]["alertname"]) for body in bodies} == {("firing", WATCHDOG)}
