"""Looking at a service until a key or a signal ends it."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime

from streamer.cli.top_keys import Keys
from streamer.cli.top_page import Page
from streamer.cli.top_script import Script
from streamer.cli.top_service import LookedAt
from streamer.cli.top_terminal import Terminal
from streamer.cli.top_told import Messages, Told
from streamer.cli.top_view import View
from streamer.errors import ConfigError, ConnectionLost, SourceError, StoreError

TICK_SECONDS = 1.0
"""What is shown of ages is no older."""

AGAIN_SECONDS = 1.0
SEARCH_SECONDS = 2.0
ESCAPE_SECONDS = 0.1
"""What a terminal sends for one key comes in a shorter time."""


class Watch:
    """What is told of a service, how somebody looks at it, and the terminal where they do."""

    def __init__(self, service: LookedAt, told: Told, terminal: Terminal, script: Script) -> None:
        self._service = service
        self._told = told
        self._terminal = terminal
        self._script = script
        self._view = View()
        self._keys = Keys()
        self._news = asyncio.Event()
        self._seen = told, datetime.now(UTC)

    async def run(self) -> None:
        """Show what there is until somebody leaves."""
        async with asyncio.TaskGroup() as tasks:
            beside = [tasks.create_task(self._follow()), tasks.create_task(self._keep_searching())]
            with self._hearing(), self._terminal:
                while not self._view.is_leaving:
                    self._paint()
                    await self._something_happens()
            for task in beside:
                task.cancel()

    def _paint(self) -> None:
        if not self._view.is_paused:
            self._seen = self._told, datetime.now(UTC) + self._told.ahead
        told, now = self._seen
        told = replace(told, trouble=self._told.trouble)
        self._terminal.paint(Page(self._terminal.console, told, self._view, now, self._script).lines())

    async def _something_happens(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(TICK_SECONDS):
                await self._news.wait()
        self._news.clear()

    async def _follow(self) -> None:
        """Keep what is told up to date, through trouble that may pass."""
        last: str | None = None
        while True:
            try:
                async with self._service.events(last) as chunks:
                    messages = Messages()
                    self._tell(replace(self._told, trouble=""))
                    async for chunk in chunks:
                        told, now = self._told, datetime.now(UTC)
                        for message in messages.within(chunk):
                            told, last = told.after(message, now), message.id or last
                        self._tell(told)
                raise ConnectionLost("the service has stopped")
            except (ConfigError, SourceError, StoreError) as error:
                self._tell(replace(self._told, trouble=str(error)))
            await asyncio.sleep(AGAIN_SECONDS)

    async def _keep_searching(self) -> None:
        """Ask for more runs while somebody looks for some, and not all are told anyway."""
        while True:
            if self._view.is_choosing and self._told.under_way > len(self._told.live.runs.items):
                with suppress(ConfigError, SourceError, StoreError):  # it is said by whoever follows
                    more = await self._service.under_way()
                    self._tell(replace(self._told, more=more))
            await asyncio.sleep(SEARCH_SECONDS)

    def _tell(self, told: Told) -> None:
        self._told = told
        self._news.set()

    @contextmanager
    def _hearing(self) -> Iterator[None]:
        """Hear keys and signals for the length of the block."""
        loop = asyncio.get_running_loop()
        on_signal: dict[signal.Signals, Callable[[], None]] = {
            signal.SIGINT: self._leave,
            signal.SIGTERM: self._leave,
            signal.SIGHUP: self._leave,
            signal.SIGWINCH: self._resize,
            signal.SIGTSTP: self._suspend,
        }
        for number, react in on_signal.items():
            loop.add_signal_handler(number, react)
        loop.add_reader(self._terminal.keyboard, self._read)
        try:
            yield
        finally:
            loop.remove_reader(self._terminal.keyboard)
            for number in on_signal:
                loop.remove_signal_handler(number)

    def _read(self) -> None:
        sent = self._terminal.keys()
        if not sent:  # the terminal is gone
            self._leave()
        for key in self._keys.within(sent):
            self._press(key)
        if self._keys.is_waiting:
            asyncio.get_running_loop().call_later(ESCAPE_SECONDS, self._settle)

    def _settle(self) -> None:
        for key in self._keys.settled():
            self._press(key)

    def _press(self, key: str) -> None:
        self._view = self._view.pressed(key)
        self._news.set()

    def _leave(self) -> None:
        self._view = replace(self._view, is_leaving=True)
        self._news.set()

    def _resize(self) -> None:
        self._terminal.resized()
        self._news.set()

    def _suspend(self) -> None:
        self._terminal.suspend()
        self._news.set()
