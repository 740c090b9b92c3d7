"""A store for tests, and whether its tables say the same."""

from collections import Counter as Tally
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from pathlib import Path
from uuid import UUID

from schemas import Event, FlowRunEvent
from streamer import counting
from streamer.model import Counter, Family, Net, RunState
from streamer.runs import advance
from streamer.store.sql import SqlStore
from streamer.testing.conformance import EPOCH
from tests.stores import open_store, rows

IDENTITY = "http://server/api"
EVERYTHING = 1_000_000
TIMES = (Family.DURATION, Family.DURATION_SUM, Family.QUEUE_WAIT, Family.QUEUE_WAIT_SUM)
"""What depends on when it was known, if a history contradicts itself."""


async def opened(path: Path) -> SqlStore:
    """Return the store with its one source, which counts from `EPOCH` on."""
    store = open_store(path)
    await store.open_source("default", identity=IDENTITY, now=EPOCH)
    return store


def folded(events: Sequence[Event]) -> RunState:
    """Return the run that these events make."""
    run: RunState | None = None
    return reduce(lambda known, each: advance(known, "default", each), map(_about_a_run, events), run) or _nothing()


async def require_agreement(path: Path, *, net: Net = Net.LIVE) -> list[Event]:
    """Require that ledger, counters and runs follow from the records, all of one net; return the events in order."""
    store = await opened(path)
    kept = [record.event for record in await store.after(0, EVERYTHING)]
    ledger = rows(path, "SELECT id, occurred >= (SELECT epoch FROM sources) FROM ledger")
    assert [each.id.bytes for each in kept] == [row[0] for row in rows(path, "SELECT id FROM records ORDER BY seq")]
    assert sorted(each.id.bytes for each in kept) == sorted(row[0] for row in ledger)
    counts = (await store.totals()).counts
    not_of_records = {Family.DUPLICATES, Family.HEARTBEATS, *TIMES}
    counted = {counter: value for counter, value in counts.items() if counter.family not in not_of_records}
    beats = sum(value for counter, value in counts.items() if counter.family is Family.HEARTBEATS)
    assert counted == _recounted(kept, net, sum(row[1] for row in ledger) + beats)
    for row in rows(path, "SELECT id FROM runs WHERE state_id IS NOT NULL"):
        run = await store.run(UUID(bytes=row[0]))
        assert run is not None
        assert _as_told(run) == _as_told(folded([each for each in kept if each.run_id == run.id]))
    await store.close()
    return kept


def _recounted(kept: Sequence[Event], net: Net, since_epoch: int) -> Tally[Counter]:
    counts = Tally(each for event in kept if event.occurred >= EPOCH for each in counting.raised("default", event))
    if net is not Net.LIVE and since_epoch:
        counts[Counter(Family.RECOVERED, "default", labels=(net,))] = since_epoch
    return counts


def _as_told(run: RunState) -> RunState:
    """Return the run without what its records do not tell."""
    return replace(run, beats=(), lasted=False)


def _about_a_run(event: Event) -> FlowRunEvent:
    assert isinstance(event, FlowRunEvent)
    return event


def _nothing() -> RunState:
    raise AssertionError("no events")
