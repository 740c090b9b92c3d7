"""The last heartbeats of a run: each once, by when they occurred, whatever the order in which they came."""

from array import array
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import Event, decode
from streamer.model import Beat, Net
from streamer.store.beats import BEATS_KEPT, enter, read
from streamer.testing.conformance import EPOCH
from tests.frames import RUN, bare, heartbeat
from tests.store.agreement import opened
from tests.stores import rows

pytestmark = pytest.mark.either_store


def kept(seconds: Sequence[int]) -> list[int]:
    """Return which beats are in a ring after these came."""
    ring = array("q")
    for second in seconds:
        enter(ring, Beat(second, second))
    return [beat.occurred for beat in read(ring.tobytes())]


@settings(deadline=None)
@given(st.lists(st.integers(0, 80), max_size=2 * BEATS_KEPT))
def test_ring_holds_the_newest_that_came(seconds: list[int]) -> None:
    assert kept(seconds) == sorted(set(seconds))[-BEATS_KEPT:]


@given(st.lists(st.integers(0, 200), max_size=3 * BEATS_KEPT))
def test_no_beat_is_new_twice(seconds: list[int]) -> None:
    ring = array("q")
    new = [second for second in seconds if enter(ring, Beat(second, second))]
    assert len(new) == len(set(new))


async def test_beats_of_a_batch_are_kept_and_counted_once(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = await opened(path)
    beats = [beat(second) for second in (30, 0, 60)]
    first = await store.append("default", [*beats, beats[0]], net=Net.LIVE)
    again = await store.append("default", [beat(30), beat(90)], net=Net.SWEEP)
    assert ([each.occurred for each in first.beats], first.duplicates) == ([each.occurred for each in beats], 1)
    assert ([each.occurred for each in again.beats], again.duplicates) == ([EPOCH + timedelta(seconds=90)], 1)
    await store.close()
    assert rows(path, "SELECT sum(value) FROM counters WHERE family = 'heartbeats'") == [(4,)]
    assert rows(path, "SELECT count(*) FROM ledger") == [(0,)], "a month of ids would outweigh all the rest"


def beat(second: int) -> Event:
    return decode(bare(heartbeat(RUN, occurred=EPOCH + timedelta(seconds=second), id=uuid4())))
