"""A Prefect server, in a process of its own, that sends events it has made before, as websocket frames and by REST.

It sends as fast as the socket takes them, or at a pace; or it only has them, for who was away. Times that it tells are
of `time.monotonic`, which the processes of a machine share.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from benchmarks import sending
from benchmarks.made import STATES


class FrameServer:
    """The process, seen from the one that measures."""

    def __init__(self, orders: "Connection[Any, Any]") -> None:
        self._orders = orders
        self.api_url: str = orders.recv()

    def make(self, number: int, states: Sequence[str] = STATES) -> None:
        """Make the frames of so many events that occur now, of runs that go through these states."""
        self._ask("make", number, states)

    def send(self) -> float:
        """Send what was made to whoever subscribes; return when the first byte was written."""
        begun: float = self._ask("send")
        return begun

    def pace(self, number: int, per_second: float) -> dict[str, float]:
        """Make so many events, and send each when it occurs, so many a second; return by id when it was written."""
        sent: dict[str, float] = self._ask("pace", number, per_second)
        return sent

    def set_clock(self, ahead: float) -> None:
        """Let the server's clock go so many seconds ahead of this machine's."""
        self._ask("set_clock", ahead)

    def miss(self, number: int, seconds: float) -> None:
        """Let so many events have occurred evenly over the last seconds, of which only REST tells."""
        self._ask("miss", number, seconds)

    def know(self, events: Sequence[bytes]) -> None:
        """Let the tables of runs show what these events led to, of which nothing else tells."""
        self._ask("know", events)

    def first_asked(self) -> float:
        """Return when REST was asked for events, the first time since who had asked before was forgotten."""
        asked: float = self._ask("first_asked")
        return asked

    def forget_who_asked(self) -> None:
        """See `first_asked`."""
        self._ask("forget_who_asked")

    def _ask(self, *order: object) -> Any:
        self._orders.send(order)
        return self._orders.recv()


@contextmanager
def frame_server() -> Iterator[FrameServer]:
    """Run one for the length of the block."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=sending.run, args=(theirs,), daemon=True)
    process.start()
    theirs.close()  # so that who waits for an answer is told if the process ends
    try:
        yield FrameServer(ours)
    finally:
        process.kill()
        process.join()
