"""A terminal that is taken over for a while, and put back as it was whatever happens."""

import os
import signal
import sys
import termios
import tty
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Self

from rich.console import Console

from streamer.errors import ConfigError

_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"
"""The other screen, no cursor, and no line goes on in the next, however wide the terminal thinks a character is."""

_LEAVE = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"
_HINT = "say --once for one picture, or --once --json"


class Terminal:
    """The terminal that this process was started in. `with terminal:` takes it; it paints lines and hands over keys."""

    def __init__(self) -> None:
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise ConfigError("there is no terminal to show it in", _HINT)
        self.console = Console(highlight=False)
        if self.console.is_dumb_terminal:
            raise ConfigError(f"nothing can be painted on this terminal (TERM={os.environ.get('TERM')})", _HINT)
        self.keyboard = sys.stdin.fileno()
        self._screen = sys.stdout.fileno()
        self._painted: list[str] = []
        self._before: list[Any] = []

    def __enter__(self) -> Self:
        self._before = termios.tcgetattr(self.keyboard)
        tty.setcbreak(self.keyboard)
        self._send(_ENTER)
        self.resized()
        return self

    def __exit__(self, *raised: object) -> None:
        with suppress(OSError, termios.error):  # it may be gone
            termios.tcsetattr(self.keyboard, termios.TCSAFLUSH, self._before)
            self._send(_LEAVE)

    def resized(self) -> None:
        """Take note of its size, and paint everything anew the next time."""
        self.console.size = os.get_terminal_size(self._screen)
        self._painted = []

    def paint(self, lines: Sequence[str]) -> None:
        """Show these lines; only those that have changed are sent."""
        before = self._painted
        changed = ["\x1b[2J"] if not before else []
        for row, line in enumerate(lines):
            if row >= len(before) or before[row] != line:
                changed.append(f"\x1b[{row + 1};1H\x1b[K{line}")
        self._painted = list(lines)
        self._send("".join(changed))

    def keys(self) -> bytes:
        """Return what was typed; nothing if the terminal is gone."""
        try:
            return os.read(self.keyboard, 1024)
        except OSError:
            return b""

    def suspend(self) -> None:
        """Give the terminal back and stop, as Ctrl-Z wants it, until the shell has this process go on."""
        self.__exit__()
        os.kill(os.getpid(), signal.SIGSTOP)
        self.__enter__()

    def _send(self, text: str) -> None:
        data = text.encode(self.console.encoding, "replace")
        while data:
            data = data[os.write(self._screen, data) :]
