"""A pseudo-terminal with a command in it, and its screen as a person would see it."""

import fcntl
import os
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyte

DEADLINE_SECONDS = 30


class Screen:
    """`with Screen(command, environment) as screen:` starts the command; what it leaves running is killed."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], *, columns: int = 80, lines: int = 24
    ) -> None:
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self._ours, self._its = os.openpty()
        self._sent = b""
        self.resize(columns, lines)
        self._modes_before = self._modes()
        self.process = subprocess.Popen(
            command,
            env={**environment, "TERM": "xterm-256color"},
            stdin=self._its,
            stdout=self._its,
            stderr=self._its,
            preexec_fn=lambda: os.login_tty(0),  # it has to be the terminal that Ctrl-C comes from
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._ours)
        os.close(self._its)

    @property
    def is_ascii(self) -> bool:
        """Tell whether nothing but ASCII was sent so far."""
        self._read()
        return self._sent.isascii()

    @property
    def lines(self) -> list[str]:
        """Return what is shown, line by line."""
        self._read()
        return [line.rstrip() for line in self._screen.display]

    @property
    def text(self) -> str:
        """Return what is shown."""
        return "\n".join(self.lines)

    def _modes(self) -> list[Any]:
        """Return how the terminal treats what is typed."""
        return termios.tcgetattr(self._its)[:4]

    def is_as_it_was(self) -> bool:
        """Tell whether the terminal is put back: its modes, its cursor, and its usual screen."""
        self._read()
        return self._modes() == self._modes_before and self._sent.endswith(b"\x1b[?25h\x1b[?1049l")

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._ours, keys.encode())

    def resize(self, columns: int, lines: int) -> None:
        """Change the size, as dragging the corner of a window does."""
        self._screen.resize(lines, columns)
        fcntl.ioctl(self._its, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def wait_for(self, *words: str) -> None:
        """Return once all these are shown."""
        self.wait_until(lambda: all(word in self.text for word in words))

    def wait_until(self, condition: Callable[[], object]) -> None:
        """Return once a condition holds; fail with what is shown when it does not in time."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, self.text
            select.select([self._ours], [], [], 0.05)

    def ended(self) -> int:
        """Return the exit status, once there is one."""
        self.wait_until(lambda: self.process.poll() is not None)
        self._read()
        return self.process.returncode

    def is_stopped(self) -> bool:
        """Tell whether the process has stopped, as after Ctrl-Z; it does not hear of it if it has not."""
        self._read()
        state = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state == "T"

    def go_on(self) -> None:
        """Have a stopped process go on, as the shell's `fg` does."""
        self.process.send_signal(signal.SIGCONT)

    def _read(self) -> None:
        """Take what was sent since the last time."""
        while select.select([self._ours], [], [], 0)[0]:
            sent = os.read(self._ours, 65536)
            self._sent += sent
            self._stream.feed(sent)
