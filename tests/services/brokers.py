"""Brokers as a test's own child processes, on free ports, with their data on the disk, so that they may be killed."""

import getpass
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from streamer.demo.server import free_port

START_SECONDS = 40
PROGRAM_FOLDERS = f"/usr/lib/rabbitmq/bin:{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
"""Debian's own `rabbitmq-server` in `/usr/sbin` changes the user; the one it wraps does not."""


@dataclass
class Broker:
    """A server in a process group of its own, for the length of a `with` block; it ends with the group.

    `ready` is what to send on a connection and what, as a pattern, must be in the answer of a server that has started.
    """

    command: Sequence[str | Path]
    port: int
    log: Path
    ready: tuple[bytes, bytes] = (b"", b"")
    environment: Mapping[str, str] = field(default_factory=dict)
    beside: Sequence[str] = ()
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *raised: object) -> None:
        self.resume()
        self.kill()

    @property
    def address(self) -> str:
        """Return host and port."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the server on the data it left, and return when it answers."""
        for command in filter(None, (self.beside, self.command)):
            self._processes.append(self._spawn(command))
        self._wait_until(self._is_ready)

    def stop(self) -> None:
        """Let the server end as it likes to."""
        self._send(signal.SIGTERM)
        self._processes[-1].wait(START_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End the server at once, with all it has started."""
        self._send(signal.SIGKILL)
        for process in self._processes:
            process.wait(START_SECONDS)
        self._wait_until(lambda: not self._answers())
        self._processes.clear()

    def pause(self) -> None:
        """Stall the server: connections stay open, and nothing is answered."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a stalled server go on."""
        self._send(signal.SIGCONT)

    def _spawn(self, command: Sequence[str | Path]) -> subprocess.Popen[bytes]:
        program = shutil.which(command[0], path=PROGRAM_FOLDERS)
        assert program, f"{command[0]} is not installed: .ci/services does it"
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [program, *command[1:]],
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _send(self, number: signal.Signals) -> None:
        for process in self._processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)

    def _is_ready(self) -> bool:
        assert all(process.poll() is None for process in self._processes), self.log.read_text(errors="replace")
        return self._answers(*self.ready)

    def _answers(self, question: bytes = b"", answer: bytes = b"") -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(question)
                return bool(re.search(answer, connection.recv(4096))) if answer else True
        except OSError:
            return False

    def _wait_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not condition():
            assert time.monotonic() < deadline, self.log.read_text(errors="replace")
            time.sleep(0.02)  # the pace of asking, not a wait for an effect


def nats(folder: Path, *settings: str) -> Broker:
    """Return a nats-server with JetStream; `settings` are lines of its configuration."""
    port, file = free_port(), folder / "nats.conf"
    lines = (f"listen: 127.0.0.1:{port}", f'jetstream {{ store_dir: "{folder}/jetstream" }}', *settings)
    file.write_text("\n".join(lines))
    return Broker(["nats-server", "-c", file], port, folder / "nats.log", ready=(b"", b"INFO"))


def redis(folder: Path, *settings: str) -> Broker:
    """Return a redis-server that writes each command to its append-only file."""
    port, file = free_port(), folder / "redis.conf"
    lines = ("bind 127.0.0.1", f"port {port}", f"dir {folder}", "appendonly yes", 'save ""', *settings)
    file.write_text("\n".join(lines))
    return Broker(["redis-server", file], port, folder / "redis.log", ready=(b"PING\r\n", b"PONG|NOAUTH"))


def mosquitto(folder: Path, *settings: str) -> Broker:
    """Return a Mosquitto that everybody may use, unless a setting says otherwise."""
    port, file = free_port(), folder / "mosquitto.conf"
    lines = (
        f"user {getpass.getuser()}",
        "persistence true",
        f"persistence_location {folder}/",
        "autosave_on_changes true",
        "autosave_interval 1",
        "max_queued_messages 100000",
        f"listener {port} 127.0.0.1",
        *(settings or ("allow_anonymous true",)),
    )
    file.write_text("\n".join(lines))
    return Broker(["mosquitto", "-c", file], port, folder / "mosquitto.log")


def rabbitmq(folder: Path, *settings: str) -> Broker:
    """Return a RabbitMQ with a name, a cookie and a port mapper of its own; its first user is `guest`."""
    port, mapper, file = free_port(), free_port(), folder / "rabbitmq.conf"
    file.write_text("\n".join((f"listeners.tcp.local = 127.0.0.1:{port}", *settings, "")))
    (folder / "plugins").write_text("[].")
    (folder / "environment").touch()
    environment = {
        "HOME": str(folder),
        "ERL_EPMD_PORT": str(mapper),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": f"streamer{port}@localhost",
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "logs"),
        "RABBITMQ_CONFIG_FILE": str(file),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "environment"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+sbwt none +S 1:1",
    }
    mapping = ["epmd", "-port", str(mapper), "-address", "127.0.0.1"]
    return Broker(["rabbitmq-server"], port, folder / "rabbitmq.log", environment=environment, beside=mapping)
