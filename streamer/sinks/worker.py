"""A thread of a sink's own for blocking writes; one that hangs does not hold up the end of the process."""

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue

Work = Callable[[], None]
_Job = tuple[Work, asyncio.AbstractEventLoop, "asyncio.Future[None]"]


class Worker:
    """Do one thing after the other, each to its end, whoever still waits for it."""

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    async def do(self, work: Work) -> None:
        """Do this, and return or raise as it does."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._jobs.put((work, loop, future))
        await asyncio.shield(future)

    def stop(self) -> None:
        """Let the thread end when it has done what it was given."""
        self._jobs.put(None)

    def _run(self) -> None:
        while job := self._jobs.get():
            work, loop, future = job
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - it is raised where somebody waits for it
                _tell(loop, future, error)
            else:
                _tell(loop, future, None)


def _tell(loop: asyncio.AbstractEventLoop, future: "asyncio.Future[None]", error: BaseException | None) -> None:
    def done() -> None:
        if future.done():
            return
        if error:
            future.set_exception(error)
            future.exception()  # nobody may be waiting any more
        else:
            future.set_result(None)

    if not loop.is_closed():
        loop.call_soon_threadsafe(done)
