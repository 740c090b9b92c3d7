"""An event loop on a thread of its own, so that who calls may have one that runs, as a notebook has, or none."""

import asyncio
from collections.abc import Coroutine
from threading import Lock, Thread, current_thread
from typing import Any, TypeVar

T = TypeVar("T")


class Background:
    """Do what is asynchronous for somebody who is not; the thread is started when it is first needed."""

    def __init__(self) -> None:
        self._starting = Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what the work returns; whoever interrupts the waiting interrupts the work."""
        doing = asyncio.run_coroutine_threadsafe(work, self._started())
        try:
            return doing.result()
        except BaseException:
            doing.cancel()
            raise

    def end(self, last: Coroutine[Any, Any, None]) -> None:
        """Do a last work and end the thread, if there is one; wait for it, unless called on that thread itself.

        That may be: what has been forgotten is collected on whatever thread happens to run.
        """
        loop, thread = self._loop, self._thread
        self._loop = self._thread = None
        if loop is None or thread is None:
            last.close()
            return
        asyncio.run_coroutine_threadsafe(last, loop).add_done_callback(lambda _: loop.call_soon_threadsafe(loop.stop))
        if thread is not current_thread():
            thread.join()

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = Thread(target=_live, args=(self._loop,), name="streamer-client", daemon=True)
                self._thread.start()
            return self._loop


def _live(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    loop.close()
