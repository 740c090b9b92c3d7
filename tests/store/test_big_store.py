"""The store that benchmarks ask is what appends would have left."""

from dataclasses import replace
from pathlib import Path

from benchmarks import big_store
from schemas import StateType
from streamer.questions import FlowQuery, RunQuery
from streamer.store.sqlite import SqliteStore
from tests.store.agreement import folded

RUNS = 1_100


async def test_its_runs_are_as_their_events_tell(tmp_path: Path) -> None:
    big_store.build(tmp_path / "store.db", RUNS)
    store = SqliteStore.open_read_only(tmp_path / "store.db")
    assert await store.size() == 5 * RUNS
    page = await store.inspection.runs(RunQuery(limit=200, oldest_first=True))
    for run in page.items[::5]:
        told = folded([record.event for record in await store.history(run.id)])
        assert replace(run, due=None, waited=False, lasted=False) == told
    assert (await store.inspection.count(RunQuery(states=(StateType.RUNNING,)))).total == big_store.LATELY
    (unwell,) = await store.inspection.flows(FlowQuery(names=big_store.NEVER_WELL))
    assert unwell.runs == RUNS // 20
    assert unwell.latest_successful == page.items[0]
    await store.close()
