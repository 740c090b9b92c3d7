"""All metrics of a service, without the service."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from streamer.instruments import Instruments
from streamer.liveness import Tracker
from streamer.metrics.counters import Choices, Metrics
from streamer.metrics.inventory import InventoryGauges
from streamer.metrics.outcomes import Outcomes
from streamer.metrics.runs import RunGauges
from streamer.metrics.windows import WindowGauges
from streamer.model import Clock, Totals
from streamer.reports import Outcome

DAY = timedelta(days=1)


class AllMetrics:
    """The counters, and every collector beside them, in one registry."""

    def __init__(
        self,
        clock: Clock,
        totals: Totals | None = None,
        *,
        trackers: Mapping[str, Tracker] | None = None,
        outcomes: Sequence[Outcome] = (),
        **choices: Any,
    ) -> None:
        self.instruments = Instruments()
        self.counters = Metrics(self.instruments, totals or Totals(), clock, Choices(**choices))
        labels, registry = self.counters.labels, self.instruments.registry
        self.runs = RunGauges(trackers or {}, labels, registry, clock, ttl=DAY)
        self.outcomes = Outcomes(labels, registry, outcomes)
        self.windows = WindowGauges({"1h": timedelta(hours=1)}, self.counters.names, registry)
        self.inventory = InventoryGauges(registry)
