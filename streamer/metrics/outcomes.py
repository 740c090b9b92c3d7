"""Family B of the catalogue, as far as it is about runs that have ended: when the last did, and how many failed since
one completed. Both are asked of the store now and then: a run that is tried again, or flips, has not ended as it had.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

from streamer.metrics.families import gauge
from streamer.metrics.labels import Labels
from streamer.reports import Outcome


class Store(Protocol):
    """The question to a store."""

    async def outcomes(self, since: datetime) -> Sequence[Outcome]:
        """Return how runs have ended since a time, by what they belong to."""
        ...


class Outcomes:
    """A collector over the newest answer."""

    def __init__(self, labels: Labels, registry: CollectorRegistry, found: Sequence[Outcome] = ()) -> None:
        self._labels = labels
        self._found = found
        registry.register(self)

    async def refresh(self, store: Store, since: datetime) -> None:
        """Ask how runs have ended since a time; what did before is forgotten."""
        self._found = await store.outcomes(since)

    def collect(self) -> Iterator[Metric]:
        """Yield when the last run ended in each state, and how many have failed since one completed."""
        finished: dict[tuple[str, ...], float] = defaultdict(float)
        failures: dict[tuple[str, ...], float] = defaultdict(float)
        for each in self._found:
            told = self._labels.values_of_run(*each.group)
            finished[*told, each.state] = max(finished[*told, each.state], each.last.timestamp())
            failures[told] += each.failures
        labels = self._labels.of_gauges
        text = "When the last run ended, by how it ended."
        yield gauge("prefect_flow_run_last_finished_timestamp_seconds", text, (*labels, "state"), finished)
        text = "Runs that failed or crashed since the last one completed."
        yield gauge("prefect_flow_run_consecutive_failures", text, labels, failures)
