"""`streamer run` as a process of its own, as an operator would have it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import orjson
from prometheus_client.parser import text_string_to_metric_families

from streamer.demo.server import free_port
from tests import patient

DEADLINE_SECONDS = 90

PREFECT_PYTHON = os.environ.get("TEST_PREFECT_PYTHON", sys.executable)
"""The interpreter of Prefect servers and flows: `make test-prefect` names one that has another Prefect."""


def isolated(folder: Path) -> dict[str, str]:
    """Return an environment without anybody's settings, with a home in this folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "STREAMER_"))}
    return {**kept, "HOME": str(folder), "STREAMER_HOME": str(folder / ".streamer"), "PYTHONUNBUFFERED": "1"}


class RunningService:
    """A service process, its jsonl file and its metrics."""

    def __init__(self, folder: Path, api_url: str, **environment: str) -> None:
        self.folder = folder
        self.file = folder / "runs.jsonl"
        self.log = folder / "service.log"
        self.address = f"http://127.0.0.1:{free_port()}"
        self._environment = {**isolated(folder), "STREAMER_API_URL": api_url, **environment}
        self.process: subprocess.Popen[bytes] | None = None
        self._read, self._ids = 0, list[str]()

    def start(self) -> None:
        """Start, and return when it is ready."""
        listen = self.address.removeprefix("http://")
        arguments = ["run", "--listen", listen, "--sink", f"jsonl://{self.file}"]
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "streamer", *arguments]
            self.process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log)
        self.wait_until(self.is_ready)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Stop, and return the exit status."""
        assert self.process
        self.process.send_signal(number)
        return self.process.wait(DEADLINE_SECONDS)

    def is_ready(self) -> bool:
        """Ask `/readyz`."""
        assert self.process
        assert self.process.poll() is None, self.log.read_text()
        try:
            return patient.get(f"{self.address}/readyz").is_success
        except httpx.HTTPError:
            return False

    def ids(self) -> list[str]:
        """Return the ids of Prefect's events in the jsonl file, in order; notices are ours."""
        if self.file.exists():
            with self.file.open("rb") as file:
                file.seek(self._read)
                lines = file.read().rpartition(b"\n")[0]  # the last counts only when it is whole
            self._read += len(lines) + bool(lines)
            self._ids += [
                record["id"] for record in map(orjson.loads, lines.splitlines()) if record["kind"] != "notice"
            ]
        return list(self._ids)

    def counted(self, name: str, **labels: str) -> int:
        """Return a counter as a scraper sees it: the sum of its series, or of those that have these labels."""
        text = patient.get(f"{self.address}/metrics").raise_for_status().text
        samples = [each for family in text_string_to_metric_families(text) for each in family.samples]
        wanted = (each for each in samples if each.name == name and labels.items() <= each.labels.items())
        return int(sum(each.value for each in wanted))

    def wait_until(self, condition: Callable[[], object], *, seconds: float = DEADLINE_SECONDS) -> None:
        """Return once the condition holds; fail with the service's log when it does not in time."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)  # the pace of asking, not a wait for an effect


@contextmanager
def running(folder: Path, api_url: str, **environment: str) -> Iterator[RunningService]:
    """Run a service for the length of the block."""
    service = RunningService(folder, api_url, **environment)
    service.start()
    try:
        yield service
    finally:
        if service.process and service.process.poll() is None:
            service.process.kill()
            service.process.wait()
