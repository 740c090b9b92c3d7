"""Pruning in a running service: what a sink will never have is counted and noticed."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from schemas import Notice
from schemas.ours import NoticeAbout
from streamer.clock import ServerClock, SystemClock
from streamer.model import Retention
from streamer.service import Service
from streamer.store.sqlite import SqliteStore
from streamer.testing import FakePrefect, an_event, until
from streamer.timestamps import to_micros
from streamer.upkeep import prune
from tests.place import Place


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with FakePrefect() as server:
        yield Place(tmp_path, server)


class MonthAhead(SystemClock):
    """The time when what comes now is old enough to be pruned."""

    def now(self) -> datetime:
        return super().now() + timedelta(days=31)


def settings_of(service: Service, **changes: Any) -> None:
    retention = service.core.settings.retention.model_copy(update=changes)
    service.core.settings = service.core.settings.model_copy(update={"retention": retention})


async def notices(service: Service) -> list[Notice]:
    return [each.event for each in await service.core.log.after(0, 10_000) if isinstance(each.event, Notice)]


async def test_a_sink_that_is_passed_over_is_told_and_the_others_go_on(place: Place, tmp_path: Path) -> None:
    stuck = tmp_path / "a-folder"
    stuck.mkdir()
    async with place.running(sink=[f"jsonl://{place.file}", f"jsonl://{stuck}"], grace=timedelta(0)) as service:
        events = [an_event() for _ in range(5)]
        place.server.publish(*events)
        await place.has(*events)
        await until(lambda: service.core.deliveries[0].lag() == 0)  # a line is in the file before it is acknowledged
        settings_of(service, size=1)
        await prune(service.core)
        await until(lambda: len(place.ids()) == 6)
        (notice,) = await notices(service)
        assert (notice.about, notice.announcement.sink) == (NoticeAbout.EXPIRED, f"jsonl://{stuck}")
        assert notice.announcement.records == 5
        said = service.core.metrics.exposition("text/plain")[0].decode()
        assert f'prefect_streamer_sink_records_total{{result="expired",sink="jsonl://{stuck}"}} 5.0' in said
        await until(lambda: str(notice.id) in place.ids())
        assert service.core.log.size == 1, "the notice itself"


async def test_a_sink_whose_rest_was_pruned_while_it_was_down_goes_on_at_the_head(place: Place) -> None:
    place.file.mkdir()
    async with place.running(grace=timedelta(0)) as service:
        place.server.publish(an_event())
        await until(lambda: service.core.log.head)
        path = service.core.settings.store_path
    place.file.rmdir()
    store = SqliteStore.open(path)
    while await store.prune(Retention(), now=datetime.now(UTC) + timedelta(days=31), readers=(), ids=False):
        pass
    await store.close()
    async with place.running() as service:
        (delivery,) = service.core.deliveries
        await until(lambda: delivery.lag() == 0)
        event = an_event()
        place.server.publish(event)
        await until(lambda: place.ids() == [event["id"]])


async def test_a_sink_that_is_configured_no_more_keeps_nothing_from_being_pruned(place: Place) -> None:
    async with place.running() as service:
        await service.core.store.cursor("renamed since")
        event = an_event()
        place.server.publish(event)
        await place.has(event)
        await until(lambda: service.core.deliveries[0].lag() == 0)
        service.core.clock = ServerClock(MonthAhead())
        await prune(service.core)
        assert await service.core.store.size() == 0
        assert await notices(service) == []


@pytest.mark.parametrize("kept", [timedelta(days=7), timedelta(days=3)])
async def test_a_stop_longer_than_the_server_keeps_events_is_noticed_with_its_bounds(
    place: Place, kept: timedelta
) -> None:
    place.server.retention = kept
    async with place.running() as service:
        await until(lambda: service.core.health["default"].watermark)
        path = service.core.settings.store_path
    long_ago = datetime.now(UTC) - timedelta(days=10)
    with closing(sqlite3.connect(path)) as store, store:
        store.execute("UPDATE sources SET watermark = ?, epoch = ?", (to_micros(long_ago),) * 2)
    async with place.running() as service:
        await until(lambda: place.ids())
        (notice,) = await notices(service)
        said = notice.announcement
        assert (notice.about, said.start) == (NoticeAbout.GAP, long_ago)
        assert said.end
        assert abs(datetime.now(UTC) - said.end - kept) < timedelta(minutes=1)
    async with place.running() as service:
        assert len(await notices(service)) == 1, "it was said once"


async def test_when_most_runs_vanish_at_once_nothing_is_concluded_but_said(place: Place) -> None:
    async with place.running(resync=timedelta(seconds=0.2)) as service:
        runs = [an_event() for _ in range(12)]
        place.server.publish(*runs)
        await place.has(*runs)
        for event in runs[:8]:
            place.server.tables.delete(event["resource"]["prefect.resource.id"].removeprefix("prefect.flow-run."))
        await until(lambda: len(place.ids()) == 13)
        (notice,) = await notices(service)
        assert notice.about is NoticeAbout.RESET
        assert len(await service.core.store.unfinished("default")) == 12, "a run was held to be deleted"


async def test_ages_of_the_audits_are_a_setting(place: Place) -> None:
    hour = timedelta(hours=1)
    async with place.running(audits=[hour], since=timedelta(hours=10)) as service:
        await until(lambda: service.core.health["default"].watermark)
        watermark = service.core.health["default"].watermark
        assert watermark
        assert hour <= datetime.now(UTC) - watermark < 2 * hour + timedelta(minutes=1)
