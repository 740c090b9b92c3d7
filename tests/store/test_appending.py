"""What follows from an event is written with it, once, however the events were cut into batches."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID, uuid5

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import Event, Heartbeat, decode
from streamer.model import Counter, Family, Net
from streamer.store.beats import times_of
from streamer.testing import an_event
from streamer.testing.conformance import EPOCH, events
from streamer.timestamps import to_micros
from tests.frames import RUN, Json, bare, heartbeat, related
from tests.store.agreement import TIMES, folded, opened, require_agreement
from tests.stores import rows

pytestmark = pytest.mark.either_store

NAMESPACE = UUID("00000000-0000-4000-8000-000000000000")
RUNS = [uuid5(NAMESPACE, f"run {number}") for number in range(3)]
TYPES = ["SCHEDULED", "PENDING", "RUNNING", "COMPLETED", "FAILED"]

days = st.integers(-2, 9).map(timedelta)  # some before the epoch, and some the same


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


def event(content: Json) -> Event:
    return decode(orjson.dumps(content))


def named(name: str, *, after: float) -> Event:
    """Return an event that calls its flow by a name, so many seconds after the epoch."""
    flow = related("flow", "prefect.flow.f", name=name)
    return event(an_event(occurred=EPOCH + timedelta(seconds=after), related=[flow]))


@st.composite
def moves(draw: st.DrawFn) -> Event:
    flow = related("flow", f"prefect.flow.{draw(st.sampled_from('fg'))}", name=draw(st.sampled_from("abcd")))
    before, after = draw(st.sampled_from(TYPES)), draw(st.sampled_from(TYPES))
    run, occurred = str(draw(st.sampled_from(RUNS))), EPOCH + draw(days)
    return event(an_event(run=run, before=before, after=after, occurred=occurred, related=[flow]))


@st.composite
def beats(draw: st.DrawFn) -> Event:
    return decode(bare(heartbeat(draw(st.sampled_from(RUNS)), id=draw(st.uuids()), occurred=EPOCH + draw(days))))


@st.composite
def cut_anywhere(draw: st.DrawFn) -> list[list[Event]]:
    """Draw what arrives, duplicates among it, cut into batches."""
    pool = draw(st.lists(moves() | beats(), min_size=1, max_size=12))
    arrived = pool + draw(st.lists(st.sampled_from(pool), max_size=8))
    cuts = sorted(draw(st.sets(st.integers(0, len(arrived)), max_size=6)))
    return [arrived[start:end] for start, end in pairwise([0, *cuts, len(arrived)])]


async def tables(batches: Sequence[Sequence[Event]], *, net: Net, reopening: bool = False) -> dict[str, list[Any]]:
    """Return what a new store holds after these batches, the rows of each table in an order of their own."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        store = await opened(path)
        for batch in batches:
            await store.append("default", batch, net=net)
            if reopening:
                await store.close()
                store = await opened(path)
        await store.close()
        await require_agreement(path, net=net)
        found = {
            name: sorted(rows(path, f"SELECT * FROM {name}"), key=repr)
            for name in ("records", "ledger", "runs", "beats", "counters", "names")
        }
        found["counters"] = [row[:8] for row in found["counters"] if row[0] not in TIMES]  # less when it was raised
        found["runs"] = [row[:-1] for row in found["runs"]]  # less whether a time was measured
        return found


@settings(deadline=None, max_examples=25)
@given(cut_anywhere(), st.sampled_from([Net.LIVE, Net.SWEEP]), st.booleans())
async def test_it_does_not_matter_how_events_are_cut_into_batches(
    batches: list[list[Event]], net: Net, reopening: bool
) -> None:
    whole = [each for batch in batches for each in batch]
    assert await tables(batches, net=net, reopening=reopening) == await tables([whole], net=net)


@pytest.mark.parametrize("reopened", [False, True])
async def test_a_duplicate_changes_nothing(path: Path, reopened: bool) -> None:
    store, brought = await opened(path), events(2)
    first = await store.append("default", [*brought, *brought], net=Net.LIVE)
    before = (await store.totals()).counts
    if reopened:
        await store.close()
        store = await opened(path)
    again = await store.append("default", brought[::-1], net=Net.STATES)
    assert (len(first.records), first.duplicates) == (2, 2)
    assert (again.records, again.totals.names, again.duplicates) == ([], {}, 2)
    seen_again = {Counter(Family.DUPLICATES, "default", labels=("states",)): 2}
    assert again.totals.counts == seen_again
    assert (await store.totals()).counts == {**before, **seen_again}
    await store.close()


async def test_of_an_id_with_two_contents_the_first_wins(path: Path) -> None:
    store = await opened(path)
    one, other = (event(an_event(id=str(NAMESPACE), after=after)) for after in ("COMPLETED", "FAILED"))
    assert (await store.append("default", [one, other], net=Net.LIVE)).duplicates == 1
    await store.append("default", [other], net=Net.SWEEP)
    assert [record.event for record in await store.after(0, 9)] == [one]
    counted = {each.labels for each in (await store.totals()).counts if each.family is not Family.DUPLICATES}
    assert counted == {("PENDING", "COMPLETED"), ("COMPLETED",)}
    await store.close()


@pytest.mark.parametrize(("net", "on_server"), [(Net.LIVE, 1), (Net.SWEEP, 1), (Net.FILE, 1), (Net.STATES, 0)])
async def test_the_ledger_knows_what_the_server_s_event_log_has_shown(path: Path, net: Net, on_server: int) -> None:
    store = await opened(path)
    await store.append("default", events(1), net=net)
    assert rows(path, "SELECT class, on_server FROM ledger") == [(0, on_server)]
    await store.close()


@pytest.mark.parametrize(("net", "on_server"), [(Net.LIVE, 1), (Net.SWEEP, 1), (Net.STATES, 0)])
async def test_what_we_made_is_the_servers_as_soon_as_it_shows_it(path: Path, net: Net, on_server: int) -> None:
    store, (made,) = await opened(path), events(1)
    await store.append("default", [made], net=Net.STATES)
    again = await store.append("default", [made], net=net)
    assert (again.records, again.duplicates) == ([], 1)
    assert rows(path, "SELECT on_server FROM ledger") == [(on_server,)]
    await store.close()


@pytest.mark.parametrize(("net", "recovered"), [(Net.LIVE, 0), (Net.SWEEP, 2), (Net.FILE, 0), (Net.STATES, 2)])
async def test_what_the_websocket_missed_is_counted_as_recovered(path: Path, net: Net, recovered: int) -> None:
    store = await opened(path)
    appended = await store.append("default", events(2), net=net)
    again = await store.append("default", events(2, start=EPOCH - timedelta(hours=1)), net=net)
    counter = Counter(Family.RECOVERED, "default", labels=(net,))
    assert (appended.totals.counts.get(counter, 0), again.totals.counts.get(counter, 0)) == (recovered, 0)
    await store.close()


async def test_a_name_is_the_newest_by_when_it_was_told(path: Path) -> None:
    store = await opened(path)
    first = await store.append("default", [named("b", after=2), named("c", after=3), named("a", after=1)], net=Net.LIVE)
    late = await store.append("default", [named("z", after=2)], net=Net.LIVE)
    newer = await store.append("default", [named("d", after=4)], net=Net.LIVE)
    assert [each.totals.names for each in (first, late, newer)] == [{"f": "c"}, {}, {"f": "d"}]
    assert (await store.totals()).names == {"f": "d"}
    await store.close()


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("order", ["ab", "ba"])
async def test_of_two_names_told_at_one_instant_the_same_is_kept(path: Path, order: str, together: bool) -> None:
    store, told = await opened(path), [named(name, after=1) for name in order]
    for batch in [told] if together else [[each] for each in told]:
        await store.append("default", batch, net=Net.LIVE)
    assert (await store.totals()).names == {"f": "b"}
    await store.close()


async def test_what_was_passed_over_is_remembered_and_not_logged(path: Path) -> None:
    store, (wanted, unwanted) = await opened(path), events(2)
    appended = await store.append("default", [wanted], net=Net.LIVE, passed_over=[unwanted])
    assert [record.event for record in appended.records] == [wanted]
    again = await store.append("default", [unwanted], net=Net.SWEEP)
    assert (again.records, again.duplicates) == ([], 1)
    assert [len(rows(path, f"SELECT id FROM {table}")) for table in ("ledger", "records", "runs")] == [2, 1, 1]
    await store.close()


@pytest.mark.parametrize(
    ("name", "counted"),
    [("prefect.flow-run.Running", 1), ("Prefect.FLOW-run.Running", 1), ("prefect.flow-run.heartbeat", 0), ("else", 0)],
)
async def test_the_audit_counts_by_name_and_as_the_server_does_without_regard_to_case(
    path: Path, name: str, counted: int
) -> None:
    store = await opened(path)
    seen = event({**an_event(occurred=EPOCH), "event": name})
    await store.append("default", [], net=Net.LIVE, passed_over=[seen])
    assert await store.count("default", to_micros(EPOCH), to_micros(EPOCH)) == counted
    await store.close()


async def test_a_run_comes_back_as_it_was_folded(path: Path) -> None:
    store = await opened(path)
    content = an_event(run=str(RUN), after="COMPLETED", occurred=EPOCH, follows=str(NAMESPACE))
    content["related"] += [related("tag", "prefect.tag.a.b"), related("task-run", "prefect.task-run.t")]
    moved, beat = event(content), decode(bare(heartbeat(RUN)))
    await store.append("default", [moved, beat], net=Net.LIVE)
    assert isinstance(beat, Heartbeat)
    assert await store.run(RUN) == replace(folded([moved]), beats=(times_of(beat),))
    await store.close()


async def test_a_time_beyond_the_calendar_does_not_spoil_its_run(path: Path) -> None:
    store = await opened(path)
    for occurred in ("9999-12-31T23:59:59-10:00", "0001-01-01T00:00:00+10:00", EPOCH.isoformat()):
        await store.append("default", [event({**an_event(run=str(RUN)), "occurred": occurred})], net=Net.LIVE)
    assert len(await store.after(0, 9)) == 3
    assert await store.run(RUN) is not None
    await store.close()


async def test_two_sources_keep_their_own_epoch_and_counters(path: Path) -> None:
    store = await opened(path)
    await store.open_source("later", identity="http://later/api", now=EPOCH + timedelta(days=1))
    for source in ("default", "later"):
        await store.append(source, events(2), net=Net.LIVE)
    counted = Counter(Family.TRANSITIONS, "default", "00000000-0000-4000-8000-00000000f104")
    assert (await store.totals()).counts == {counted._replace(labels=("PENDING", "RUNNING")): 2}
    assert [record.source for record in await store.after(0, 9)] == ["default"] * 2 + ["later"] * 2
    await store.close()


async def test_of_each_counter_a_transition_that_raised_it_is_told_and_none_from_before_the_epoch(path: Path) -> None:
    store = await opened(path)
    early, first, second = (named("f", after=seconds) for seconds in (-1, 1, 2))
    assert not (await store.append("default", [early], net=Net.LIVE)).examples
    appended = await store.append("default", [first, second, early], net=Net.LIVE)
    assert appended.examples.keys() == {each for each in appended.totals.counts if each.family is Family.TRANSITIONS}
    assert list(appended.examples.values()) == [second]
    await store.close()
