"""Doubles and conformance suites for those who test with, or build for, streamer.

`FakePrefect` stands for a Prefect server where the real one cannot be made to misbehave, and `Faults` make it do so by
a seeded plan; `check_store` and `check_sink` say whether a store or sink keeps its contract.
"""

from streamer.testing.conformance import check_sink, check_store
from streamer.testing.events import an_event
from streamer.testing.fake_prefect import FakePrefect
from streamer.testing.faults import Faults
from streamer.testing.memory_sink import MemorySink
from streamer.testing.waiting import until

__all__ = ["FakePrefect", "Faults", "MemorySink", "an_event", "check_sink", "check_store", "until"]
