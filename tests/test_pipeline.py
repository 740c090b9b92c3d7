"""Frames → events → log → observers: in order, and nothing that comes in stops it."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from schemas.decoding import MAX_FRAME_BYTES
from streamer.errors import StoreError
from streamer.health import SourceHealth
from streamer.instruments import Instruments
from streamer.intake import Intake
from streamer.log import Log
from streamer.model import Appended, Counter, Family, Frame, Mark, Net, Observer
from streamer.pipeline import BATCH, Pipeline
from streamer.selection import Selection
from streamer.store.sql import SqlStore
from streamer.testing import an_event
from streamer.testing.conformance import EPOCH
from tests.frames import Json, bare, event, flow_run, frame, heartbeat, related, transition, verdict
from tests.incidents import an_alert
from tests.stores import full, open_store

pytestmark = pytest.mark.either_store

OCCURRED = EPOCH + timedelta(hours=1)


@dataclass
class Recorder:
    """An observer that remembers, and what the health said of the watermark then."""

    name: str = "recorder"
    health: SourceHealth | None = None
    told: list[tuple[str, Net, Appended]] = field(default_factory=list)
    watermarks: list[object] = field(default_factory=list)

    def committed(self, source: str, net: Net, appended: Appended) -> None:
        self.told.append((source, net, appended))
        self.watermarks.append(self.health and self.health.watermark)


class Broken:
    """An observer with a bug."""

    name = "broken"

    def committed(self, source: str, net: Net, appended: Appended) -> None:
        raise ZeroDivisionError(f"a bug of {self.name}")


@dataclass
class Rig:
    """A log on the disk with two sources, and a pipeline into it for each call of `bring`."""

    log: Log
    store: SqlStore
    instruments: Instruments = field(default_factory=Instruments)

    async def bring(
        self,
        *items: Frame | Mark,
        observers: Sequence[Observer] = (),
        selection: Selection | None = None,
        health: SourceHealth | None = None,
    ) -> None:
        """Let a pipeline work through these items."""
        intake = Intake()
        for item in items:
            await intake.put(item)
        intake.close()
        known = {health.name: health} if health else {}
        pipeline = Pipeline(intake, self.log, self.instruments, health=known, observers=observers, selection=selection)
        await pipeline.run()

    async def duplicates(self, net: Net) -> int:
        """Return how often this net brought what was there already."""
        return (await self.store.totals()).counts[Counter(Family.DUPLICATES, "default", labels=(net,))]

    async def ids(self) -> list[str]:
        """Return the ids of the events in the log."""
        return [str(record.event.id) for record in await self.store.after(0, 100_000)]

    def value(self, name: str, **labels: str) -> float | None:
        """Return what a meter of ours shows."""
        return self.instruments.registry.get_sample_value(f"prefect_streamer_{name}", labels)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    store = open_store(tmp_path / "store.db")
    log = await Log.open(store)
    for name in ("default", "other"):
        await log.open_source(name, identity=f"http://{name}/api", now=EPOCH)
    yield Rig(log, store)
    await store.close()


def live(content: Json, *, source: str = "default", net: Net = Net.LIVE) -> Frame:
    return Frame(source, net, frame(content) if net is Net.LIVE else bare(content))


def move(**changes: str) -> Json:
    return an_event(occurred=OCCURRED, **changes)


def ids(contents: Sequence[Json]) -> list[str]:
    return [content["id"] for content in contents]


REFUSED = {
    "bytes that are no JSON": (b"\xff{", "json"),
    "JSON that is no event": (b"[1, 2]", "schema"),
    "an event without its time": (bare({**move(), "occurred": None}), "schema"),
    "an event of no flow run": (bare(event("prefect.flow-run.Running", {"prefect.resource.id": "x"})), "forged"),
    "an oversize frame": (frame(an_event(comment="x" * MAX_FRAME_BYTES)), "oversize"),
    "an event that pretends to be ours": (frame(verdict()), "forged"),
    "an event that pretends to be an alert of ours": (an_alert().event.raw, "forged"),
    "one that pretends badly": (frame(verdict(payload={})), "schema"),
    "no bytes": (b"", "json"),
}


@pytest.mark.parametrize(("data", "reason"), REFUSED.values(), ids=REFUSED.keys())
async def test_what_is_no_event_goes_to_quarantine_and_stops_nothing(rig: Rig, data: bytes, reason: str) -> None:
    before, after, seen = move(), move(), Recorder()
    await rig.bring(live(before), Frame("default", Net.LIVE, data), live(after), observers=[seen])
    assert await rig.ids() == ids([before, after])
    quarantined = Counter(Family.QUARANTINED, "default", labels=(reason,))
    assert (await rig.store.totals()).counts[quarantined] == 1
    assert {quarantined: 1} in [appended.totals.counts for _, _, appended in seen.told]


async def test_a_frame_of_the_largest_size_is_taken(rig: Rig) -> None:
    content = an_event(comment="")
    content["comment"] = "x" * (MAX_FRAME_BYTES - len(frame(content)))
    assert len(frame(content)) == MAX_FRAME_BYTES
    await rig.bring(live(content))
    assert await rig.ids() == ids([content])


async def test_an_observer_that_raises_is_counted_and_the_others_are_told(rig: Rig) -> None:
    seen = Recorder()
    await rig.bring(live(move()), live(move(), net=Net.SWEEP), observers=[Broken(), seen])
    assert rig.value("observer_errors_total", observer="broken") == 2
    assert [(source, net, len(appended.records)) for source, net, appended in seen.told] == [
        ("default", Net.LIVE, 1),
        ("default", Net.SWEEP, 1),
    ]


async def test_observers_are_told_of_heartbeats_and_of_what_is_new_only(rig: Rig) -> None:
    content, beat, seen = move(), heartbeat(occurred=OCCURRED), Recorder()
    await rig.bring(live(content), live(beat), live(content), live(beat), observers=[seen])
    ((_, _, appended),) = seen.told
    assert ids([content]) == [str(record.event.id) for record in appended.records]
    assert (ids([beat]), appended.duplicates) == ([str(each.id) for each in appended.beats], 2)


async def test_what_came_in_is_counted_by_net_and_kind(rig: Rig) -> None:
    content = move()
    await rig.bring(live(content), live(heartbeat()), live(content, net=Net.SWEEP))
    assert rig.value("events_received_total", source="default", net="live", kind="transition") == 1
    assert rig.value("events_received_total", source="default", net="live", kind="heartbeat") == 1
    assert await rig.duplicates(Net.SWEEP) == 1


async def test_what_is_not_selected_is_passed_over_but_remembered(rig: Rig) -> None:
    ours, others = (
        transition(occurred=OCCURRED, related=[related("flow", f"prefect.flow.{name}", name=name)])
        for name in ("ours", "others")
    )
    await rig.bring(live(ours), live(others), selection=Selection(flows=("ours",)))
    assert await rig.ids() == ids([ours])
    await rig.bring(live(ours, net=Net.SWEEP), live(others, net=Net.SWEEP))
    assert await rig.ids() == ids([ours])
    assert await rig.duplicates(Net.SWEEP) == 2


@pytest.mark.parametrize("name", ["prefect.task-run.Running", "streamer.other", "Prefect.Flow-Run.Running"])
async def test_an_event_of_another_prefix_is_passed_over(rig: Rig, name: str) -> None:
    other = event(name, {"prefect.resource.id": "prefect.task-run.x"})
    await rig.bring(live(other))
    assert await rig.ids() == []
    assert rig.value("events_received_total", source="default", net="live", kind="other") == 1


async def test_a_user_s_own_event_about_a_run_is_logged(rig: Rig) -> None:
    own = event("prefect.flow-run.something-of-mine", flow_run())
    await rig.bring(live(own))
    assert await rig.ids() == ids([own])


async def test_mixed_sources_and_nets_keep_the_order_of_arrival(rig: Rig) -> None:
    places = [("default", Net.LIVE), ("other", Net.SWEEP), ("default", Net.SWEEP), ("other", Net.LIVE)]
    brought = [(source, net, move()) for _ in range(10) for source, net in places]
    await rig.bring(*(live(content, source=source, net=net) for source, net, content in brought))
    records = await rig.store.after(0, 100)
    assert [(record.source, str(record.event.id)) for record in records] == [
        (source, content["id"]) for source, _, content in brought
    ]


async def test_more_than_a_batch_goes_through_in_order_and_few_commits(rig: Rig) -> None:
    contents, seen = [move() for _ in range(BATCH + 88)], Recorder()
    await rig.bring(*map(live, contents), observers=[seen])
    assert await rig.ids() == ids(contents)
    assert [len(appended.records) for _, _, appended in seen.told] == [BATCH, 88]


async def test_a_mark_moves_the_watermark_after_the_frames_before_it(rig: Rig) -> None:
    health = SourceHealth("default", rig.instruments)
    seen, first, last = Recorder(health=health), OCCURRED, OCCURRED + timedelta(hours=1)
    items: list[Frame | Mark] = [live(move()), Mark("default", first), live(move()), Mark("default", last)]
    await rig.bring(*items, health=health, observers=[seen])
    assert seen.watermarks == [None, first]
    assert (health.watermark, health.caught_up) == (last, False)
    assert rig.value("watermark_timestamp_seconds", source="default") == last.timestamp()
    state = await rig.log.open_source("default", identity="http://default/api", now=EPOCH)
    assert state.watermark == last


async def test_a_mark_is_reached_when_what_went_ahead_of_it_is_committed(rig: Rig) -> None:
    heads: list[int] = []
    mark = Mark("default", reached=lambda: heads.append(rig.log.head))
    await rig.bring(live(move()), mark, live(move()), live(move()), mark)
    assert heads == [1, 3]
    state = await rig.log.open_source("default", identity="http://default/api", now=EPOCH)
    assert state.watermark is None


@pytest.mark.parametrize("complete", [False, True])
async def test_only_a_complete_mark_says_that_nothing_is_missing(rig: Rig, complete: bool) -> None:
    health = SourceHealth("default", rig.instruments)
    health.open()
    await rig.bring(Mark("default", OCCURRED), Mark("default", complete=complete), health=health)
    assert health.caught_up is complete


async def test_a_mark_of_a_source_without_health_moves_its_watermark(rig: Rig) -> None:
    await rig.bring(Mark("other", OCCURRED), health=SourceHealth("default", rig.instruments))
    state = await rig.log.open_source("other", identity="http://other/api", now=EPOCH)
    assert state.watermark == OCCURRED


async def test_a_store_that_cannot_be_written_stops_it_before_the_mark(rig: Rig, tmp_path: Path) -> None:
    health = SourceHealth("default", rig.instruments)
    with full(tmp_path / "store.db"), pytest.raises(StoreError, match="disk is full"):
        await rig.bring(live(move()), Mark("default", OCCURRED, complete=True), health=health)
    assert (health.watermark, health.caught_up, await rig.ids()) == (None, False, [])
