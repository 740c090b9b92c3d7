"""A PostgreSQL of the test's own, on a free port, with its data on disk; it can be killed and started again."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
import pytest
import trustme

from streamer.demo.server import free_port

USER, PASSWORD = "streamer", "s3same/0pen"
START_SECONDS = 30.0


class PostgresServer:
    """`with PostgresServer(folder) as server:`; its user must give a password, which is in `server.url`.

    PostgreSQL does not run as root: then it runs as the user `postgres`, who must be able to reach the folder.
    """

    def __init__(self, folder: Path, *, fsync: bool = True) -> None:
        self.folder = folder
        self._fsync = fsync
        self.port = free_port()
        self.url = f"postgresql://{USER}:{PASSWORD.replace('/', '%2F')}@127.0.0.1:{self.port}/postgres"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._initialise()
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Return when the server answers; after a kill its orphans may keep a new one from starting for a moment."""
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process is None or self._process.poll() is not None:
                self._process = self._spawn()
            if time.monotonic() > deadline:
                pytest.fail(f"PostgreSQL did not start: {(self.folder / 'log').read_text()}")
            time.sleep(0.05)

    def stop(self, number: int = signal.SIGINT) -> None:
        """End the server: SIGINT is its fast and orderly way, SIGKILL leaves it no time for anything."""
        if self._process:
            self._process.send_signal(number)
            self._process.wait(timeout=START_SECONDS)
            self._process = None

    def kill(self) -> None:
        """End the server as a crash would."""
        self.stop(signal.SIGKILL)

    def speak_tls(self, certificate: trustme.LeafCert) -> None:
        """Start again, with TLS."""
        self.stop()
        data = self.folder / "data"
        certificate.private_key_pem.write_to_path(data / "server.key")
        certificate.cert_chain_pems[0].write_to_path(data / "server.crt")
        for name in ("server.key", "server.crt"):
            (data / name).chmod(0o600)
            self._give_away(data / name)
        with (data / "postgresql.conf").open("a") as settings:
            settings.write("ssl = on\n")
        self.start()

    def _initialise(self) -> None:
        password = self.folder / "password"
        password.write_text(PASSWORD)
        for path in (self.folder, password):
            self._give_away(path)
        who = ["--username", USER, "--pwfile", str(password), "--auth", "scram-sha-256"]
        done = self._popen("initdb", "--pgdata", str(self.folder / "data"), "--encoding", "UTF8", "--no-locale", *who)
        assert done.wait(timeout=START_SECONDS) == 0, (self.folder / "log").read_text()

    @staticmethod
    def _give_away(path: Path) -> None:
        if os.geteuid() == 0:
            shutil.chown(path, "postgres", "postgres")

    def _spawn(self) -> subprocess.Popen[bytes]:
        where = ["-D", str(self.folder / "data"), "-p", str(self.port), "-h", "127.0.0.1", "-k", ""]
        where += [] if self._fsync else ["-c", "fsync=off"]
        return self._popen("postgres", *where)

    def _popen(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        root = os.geteuid() == 0
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [_program(program), *arguments],
                cwd=self.folder,
                stdout=log,
                stderr=log,
                user="postgres" if root else None,
                group="postgres" if root else None,
                extra_groups=[] if root else None,
            )

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True


def served() -> Iterator[PostgresServer]:
    """Start a server in a folder that its user can reach, as pytest's own folders are not when we are root."""
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    try:
        with PostgresServer(folder) as server:
            yield server
    finally:
        shutil.rmtree(folder)


def _program(name: str) -> str:
    """Return where a program of PostgreSQL's is; Debian keeps them off the PATH."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = shutil.which(name, path=os.pathsep.join([*map(str, folders), os.environ["PATH"]]))
    if found is None:
        pytest.fail(f"{name} is missing: run .ci/services, or install Debian's package `postgresql`")
    return found
