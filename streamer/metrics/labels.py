"""Which labels the metrics about runs have, and what they say: chosen by `[metrics] labels`, names instead of ids."""

from collections.abc import Mapping, Sequence

from streamer.counting import STATE_NAME, WORK_QUEUE
from streamer.model import Counter

USUAL = ("flow", "deployment", "work_pool")
OF_EVERY_RUN = ("source", *USUAL)
"""Labels that gauges can have, too: the others are known of what is counted only."""


class Labels:
    """The chosen labels; `names` tells the newest names of ids. What is not there is the empty string."""

    def __init__(self, names: Mapping[str, str], chosen: Sequence[str] = USUAL) -> None:
        self._names = names
        self._chosen = tuple(chosen)
        self.of_gauges = tuple(each for each in chosen if each in OF_EVERY_RUN)

    def of_counters(self, *, state_name: bool = False) -> tuple[str, ...]:
        """Return the labels of a counter; only some tell names of states apart."""
        return tuple(each for each in self._chosen if each != STATE_NAME or state_name)

    def values(self, counter: Counter, labels: Sequence[str]) -> tuple[str, ...]:
        """Return what these labels say of a counter."""
        known = {
            **dict(counter.more),
            **self._of_run(counter.source, counter.flow, counter.deployment, counter.work_pool),
        }
        if WORK_QUEUE in known:
            known[WORK_QUEUE] = self._names.get(known[WORK_QUEUE], "")
        return tuple(known.get(each, "") for each in labels)

    def values_of_run(self, source: str, flow: str, deployment: str, work_pool: str) -> tuple[str, ...]:
        """Return what the labels of gauges say of a run."""
        known = self._of_run(source, flow, deployment, work_pool)
        return tuple(known[each] for each in self.of_gauges)

    def _of_run(self, source: str, flow: str, deployment: str, work_pool: str) -> dict[str, str]:
        name = self._names.get
        values = (source, name(flow, ""), name(deployment, ""), name(work_pool, ""))
        return dict(zip(OF_EVERY_RUN, values, strict=True))
