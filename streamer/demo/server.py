"""A real Prefect server in a folder of its own, on a free port; started and stopped by us."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from streamer.errors import StreamerError

START_SECONDS = 90.0
STOP_SECONDS = 15.0

FLOWS = Path(__file__).with_name("flows.py")

PREFECT_COMMAND = "from prefect.cli import app; app()"
"""What `python -m prefect` does, which Prefect 3.0 does not know."""


class PrefectServer:
    """`with PrefectServer(folder) as server:` — its API is at `server.api_url` until the block ends.

    `settings` are Prefect's own, such as `{"PREFECT_SERVER_API_AUTH_STRING": "user:password"}`. `python` is an
    interpreter that has Prefect, of any version 3; it need not have streamer.
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, str] | None = None, *, python: str = sys.executable
    ) -> None:
        self.folder = folder
        self.python = python
        self.port = free_port()
        self.api_url = f"http://127.0.0.1:{self.port}/api"
        self.environment = {
            **_without_prefect(os.environ),
            "PREFECT_HOME": str(folder),
            "PREFECT_LOCAL_STORAGE_PATH": str(folder / "storage"),  # 3.4 keeps this and the next in ~/.prefect
            "PREFECT_MEMO_STORE_PATH": str(folder / "memo_store.toml"),
            "PREFECT_API_URL": self.api_url,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_UI_ENABLED": "false",
            "PREFECT_LOGGING_TO_CONSOLE": "false",
            "DO_NOT_TRACK": "1",
            **(settings or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """Return the file with what the server says."""
        return self.folder / "server.log"

    def start(self) -> None:
        """Start the server, and return when it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._process = self.spawn("server", "start", "--host", "127.0.0.1", "--port", str(self.port))
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise StreamerError(f"the Prefect server did not start: {self._last_words()}")
            time.sleep(0.1)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Stop the server; what is kept in its folder stays."""
        if self._process:
            stop(self._process, number)
            self._process = None

    def spawn(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a `prefect …` command on this server, in a process group of its own."""
        return self.spawn_python("-c", PREFECT_COMMAND, *arguments)

    def spawn_flows(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start the sample flows on this server; `direct` leaves out those that need a worker."""
        return self.spawn_python(str(FLOWS), *arguments)

    def spawn_python(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start the interpreter with this server as its Prefect, in a process group of its own."""
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [self.python, *arguments],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.api_url}/health", timeout=2, trust_env=False).is_success
        except httpx.HTTPError:
            return False

    def _last_words(self) -> str:
        return self.log.read_text(errors="replace")[-1500:]

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop(signal.SIGKILL)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def stop(process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> None:
    """Signal a process group that we started; kill what has not ended in time."""
    if process.poll() is None:
        os.killpg(process.pid, number)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _without_prefect(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith("PREFECT_")}


def free_port() -> int:
    """Return a port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
