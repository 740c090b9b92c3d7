"""A change that halves the speed is seen here; how fast it is, `make bench` tells."""

import pytest

from benchmarks.turns import prefect_reading, streamer_reading

EVENTS = 3_000
TURNS = 3
AT_MOST_TIMES_AS_LONG = 2.5
"""Prefect's subscriber decodes an event, and that is all; here it is committed, counted, and written to a line."""


@pytest.mark.flaky(reruns=2)  # other work on the machine is not a change that halves the speed
def test_event_takes_the_service_not_much_longer_than_prefects_subscriber_that_does_nothing_with_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with streamer_reading() as ours, prefect_reading() as theirs:
        turns = [(ours(EVENTS), theirs(EVENTS)) for _ in range(TURNS)]
    best, prefects_best = map(min, zip(*turns, strict=True))
    with capsys.disabled():
        print(f"\n{best / EVENTS * 1e6:.0f} µs an event, Prefect's subscriber {prefects_best / EVENTS * 1e6:.0f} µs")
    assert best < AT_MOST_TIMES_AS_LONG * prefects_best
