"""What every store and every sink must do, whoever wrote it."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import orjson

from schemas import Event, InvalidEvent, Reason, decode
from streamer.errors import StoreError
from streamer.model import OLDEST, Cursor, Family, Frame, Net, Record, Sink, Sought, Store
from streamer.testing.events import an_event

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def events(number: int, *, start: datetime = EPOCH + timedelta(hours=1)) -> list[Event]:
    """Return so many transitions, a second apart."""
    moments = (start + timedelta(seconds=second) for second in range(number))
    return [decode(orjson.dumps(an_event(occurred=moment))) for moment in moments]


async def check_store(make: Callable[[], Store]) -> None:
    """Check a store's contract. `make` opens the same store each time; what was committed must be there again."""
    for part in (
        _keeps_once,
        _counts_from_the_epoch,
        _keeps_its_place,
        _starts_where_it_is_told,
        _refuses_another_identity,
        _quarantines_once,
    ):
        await part(make)


async def _opened(make: Callable[[], Store]) -> Store:
    store = make()
    await store.open_source("default", identity="http://server/api", now=EPOCH)
    return store


async def _keeps_once(make: Callable[[], Store]) -> None:
    store, brought = await _opened(make), events(3)
    first = await store.append("default", [*brought, brought[0]], net=Net.LIVE)
    again = await store.append("default", brought, net=Net.SWEEP)
    assert [record.event for record in first.records] == brought
    assert (first.duplicates, again.duplicates, len(again.records)) == (1, 3, 0)
    await store.close()
    store = await _opened(make)
    assert await store.after(0, 10) == first.records
    assert await store.after(first.records[0].seq, 1) == first.records[1:2]
    assert await store.head() == first.records[-1].seq
    await store.close()


async def _counts_from_the_epoch(make: Callable[[], Store]) -> None:
    store = await _opened(make)
    before = await _transitions(store)
    await store.append("default", events(2) + events(3, start=EPOCH - timedelta(hours=1)), net=Net.LIVE)
    assert await _transitions(store) == before + 2
    await store.close()


async def _transitions(store: Store) -> int:
    counts = (await store.totals()).counts
    return sum(value for counter, value in counts.items() if counter.family is Family.TRANSITIONS)


async def _keeps_its_place(make: Callable[[], Store]) -> None:
    store = await _opened(make)
    assert (await store.cursor("a sink")).seq == await store.head()
    assert (await store.cursor("an archive", since=OLDEST)).seq == 0
    await store.commit("an archive", 2)
    await store.commit("an archive", 1)
    await store.close()
    store = await _opened(make)
    assert await store.cursor("an archive") == Cursor(2, OLDEST), "a cursor went back, or was forgotten"
    await store.close()


async def _starts_where_it_is_told(make: Callable[[], Store]) -> None:
    store, tomorrow = await _opened(make), EPOCH + timedelta(days=1)
    records = (await store.append("default", events(5, start=tomorrow), net=Net.LIVE)).records
    late = (await store.append("default", events(1), net=Net.LIVE)).records
    third = tomorrow + timedelta(seconds=2)
    new = await store.cursor("a new sink", since=third)
    assert (await store.after(new.seq, 10), new.since) == ([*records[2:], *late], third)
    future = await store.cursor("a sink to be", since=tomorrow + timedelta(days=1))
    assert future.seq == await store.head(), "there is nothing as new as that"
    assert await store.seek("a new sink", None) == Sought(new, Cursor(await store.head()))
    assert (await store.seek("a new sink", third)).after == new
    await store.close()
    store = await _opened(make)
    assert await store.cursor("a new sink") == new, "a cursor that was moved back was forgotten"
    with suppress(StoreError):
        await store.seek("a sink nobody knows", None)
        raise AssertionError("a sink that never started was moved")
    await store.close()


async def _refuses_another_identity(make: Callable[[], Store]) -> None:
    store = await _opened(make)
    with suppress(StoreError):
        await store.open_source("default", identity="http://another/api", now=EPOCH)
        raise AssertionError("another server took the name of a source")
    await store.close()


async def _quarantines_once(make: Callable[[], Store]) -> None:
    store = await _opened(make)
    frame, error = Frame("default", Net.LIVE, b"\xff{"), InvalidEvent(Reason.JSON, "no JSON")
    first, again = await store.quarantine(frame, error), await store.quarantine(frame, error)
    assert list(first.counts.values()) == list(again.counts.values()) == [1]
    await store.close()


async def check_sink(make: Callable[[], Sink], read_back: Callable[[], Awaitable[Sequence[str]]]) -> None:
    """Check a sink's contract against the real destination; `read_back` returns the event ids that are in it."""
    records = [Record(seq, "default", event) for seq, event in enumerate(events(5), 1)]
    sink = make()
    await sink.open()
    await sink.write(records[:3])
    assert list(await read_back()) == _ids(records[:3]), "what was acknowledged is not there, or not in order"
    await sink.close()
    sink = make()
    await sink.open()
    await sink.write(records[3:])
    await sink.close()
    assert list(await read_back()) == _ids(records), "a sink that was opened again lost or repeated something"


def _ids(records: Sequence[Record]) -> list[str]:
    return [str(record.event.id) for record in records]
