"""What happened lately, and what did not go the usual way, as the store tells."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import orjson
import pytest

from schemas import Event, InvalidEvent, Reason, decode
from streamer.model import Frame, Net
from streamer.reports import Lately, Oddities
from streamer.store.sql import SqlStore
from streamer.store.sqlite import SqliteStore
from streamer.testing import an_event
from streamer.testing.conformance import EPOCH
from tests.stores import open_store

pytestmark = pytest.mark.either_store

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    store = open_store(tmp_path / "streamer.db")
    await store.open_source("default", identity="a server", now=EPOCH)
    yield store
    await store.close()


def entering(state: str, run: str, at: datetime) -> Event:
    return decode(orjson.dumps(an_event(run=run, after=state, occurred=at)))


def minute(moment: datetime) -> int:
    return int(moment.timestamp()) // 60


async def test_transitions_and_run_times_are_counted_by_minute_since_a_time(store: SqlStore) -> None:
    start, (one, other) = EPOCH.replace(second=0, microsecond=0), (str(uuid4()), str(uuid4()))
    await store.append("default", [entering("RUNNING", one, start)], net=Net.LIVE)
    later = start + 10 * MINUTE
    moved = [
        entering("RUNNING", other, later),
        entering("COMPLETED", one, later),
        entering("FAILED", other, later + timedelta(seconds=90)),
    ]
    await store.append("default", moved, net=Net.LIVE)
    told = await store.lately(start + MINUTE)
    assert sorted(told.moved) == [
        (minute(later), "COMPLETED", 1),
        (minute(later), "RUNNING", 1),
        (minute(later) + 1, "FAILED", 1),
    ]
    assert sorted(told.ended) == [(minute(later), 600, 1), (minute(later) + 1, 90, 1)]
    assert await store.lately(later + 2 * MINUTE) == Lately((), [])


async def test_what_the_websocket_did_not_bring_and_what_is_refused_is_counted(store: SqlStore) -> None:
    assert await store.oddities() == Oddities(recovered=0, quarantined=0)
    await store.append("default", [entering("RUNNING", str(uuid4()), EPOCH)], net=Net.SWEEP)
    await store.quarantine(Frame("default", Net.LIVE, b"{}"), InvalidEvent(Reason.SCHEMA, "unheard of"))
    assert await store.oddities() == Oddities(recovered=1, quarantined=1)


@pytest.mark.sqlite
async def test_a_store_keeps_its_name(store: SqlStore, tmp_path: Path) -> None:
    name = await store.identity()
    again = SqliteStore.open_read_only(tmp_path / "streamer.db")
    assert (len(name), await again.identity()) == (32, name)
    await again.close()
