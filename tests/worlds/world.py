"""Time that passes only when told to, an agenda of what happens when, and a diary."""

from collections.abc import Callable
from datetime import datetime, timedelta
from heapq import heappop, heappush
from random import Random

from tests.frames import OCCURRED


class World:
    """Seconds since the beginning; the same seed, the same history."""

    def __init__(self, seed: object) -> None:
        self.random = Random(f"world {seed}")
        self.time = 0.0
        self.diary: list[str] = []
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._entries = 0

    def now(self) -> datetime:
        """Return the true time, which is also the server's."""
        return OCCURRED + timedelta(seconds=self.time)

    def at(self, time: float, do: Callable[[], None]) -> None:
        """Let something happen at a time."""
        self._entries += 1
        heappush(self._agenda, (max(time, self.time), self._entries, do))

    def after(self, seconds: float, do: Callable[[], None]) -> None:
        """Let something happen in so many seconds."""
        self.at(self.time + seconds, do)

    def run_until(self, time: float) -> None:
        """Let happen what happens until then."""
        while self._agenda and self._agenda[0][0] <= time:
            moment, _, do = heappop(self._agenda)
            self.time = max(self.time, moment)
            do()
        self.time = max(self.time, time)

    def note(self, what: str) -> None:
        """Write down what happened, for whoever looks into a failure."""
        self.diary.append(f"{self.time:8.1f} {what}")

    def chance(self, share: float) -> bool:
        """Tell whether something happens that happens so often."""
        return self.random.random() < share
