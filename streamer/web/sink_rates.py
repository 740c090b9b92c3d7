"""Pure: the sinks as the live page shows them, with how fast each takes what there is."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from streamer.web.operations import SinkView

SPAN_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class SinkNow(SinkView):
    """A sink as `/api/sinks` has it; and how many records it takes a second, and how many writes failed since a start.

    The rate is that of the last half minute.
    """

    rate: float
    failed: int


class Rates:
    """What was counted a while ago, and how fast it grows."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, Mapping[str, float]]] = deque()

    def of(self, totals: Mapping[str, float], at: float) -> dict[str, float]:
        """Return by how much each total has grown a second; `at` is in seconds, and never goes back."""
        self._seen.append((at, totals))
        while len(self._seen) > 2 and self._seen[1][0] <= at - SPAN_SECONDS:
            self._seen.popleft()
        begun, before = self._seen[0]
        return {name: (total - before.get(name, 0.0)) / max(at - begun, 1.0) for name, total in totals.items()}
