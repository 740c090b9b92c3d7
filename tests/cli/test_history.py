"""`streamer history` on a store."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import orjson
import pytest
from typer.testing import CliRunner, Result

from schemas import decode
from streamer.cli import app
from streamer.errors import ConfigError, StoreError
from streamer.model import Dues, Net
from streamer.store.sqlite import SqliteStore
from streamer.testing import an_event
from streamer.testing.conformance import EPOCH


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A store with three runs of half an hour ago: two of etl, one of another flow."""
    store = SqliteStore.open(tmp_path / "streamer.db")
    await store.open_source("default", identity="a server", now=EPOCH)
    moment = datetime.now(UTC) - timedelta(minutes=30)
    for flow, state in (("etl", "COMPLETED"), ("etl", "FAILED"), ("other", "COMPLETED")):
        run = uuid4()
        related = [
            {
                "prefect.resource.id": f"prefect.flow.id-{flow}",
                "prefect.resource.role": "flow",
                "prefect.resource.name": flow,
            }
        ]
        event = an_event(run=str(run), before="RUNNING", after=state, occurred=moment, related=related)
        await store.append("default", [decode(orjson.dumps(event))], net=Net.LIVE)
        await store.learn(Dues("default", {run: moment}))
    await store.close()
    return tmp_path / "streamer.db"


async def history(path: Path, *arguments: str) -> Result:
    invoke = CliRunner().invoke
    arguments = ("history", *arguments, "--store", f"sqlite:///{path}")
    return await asyncio.to_thread(invoke, app, arguments, env={"COLUMNS": "160"})


async def test_the_table_has_a_line_for_each_interval_with_its_states(path: Path) -> None:
    lines = (await history(path, "--since", "2h", "--interval", "1h")).output.splitlines()
    assert len(lines) == 3
    assert lines[0].split() == ["from", "runs", "states"]
    assert lines[1].split()[2] == "0"
    assert lines[2].split()[2] == "3"
    assert lines[2].rstrip().endswith("2 Completed, 1 Failed")
    assert lines[2].count("█") == 40, "the longest bar"


async def test_json_is_what_prefects_api_gives(path: Path) -> None:
    buckets = orjson.loads((await history(path, "--since", "2h", "--interval", "1h", "--json")).output)
    assert [each["interval_start"] for each in buckets[1:]] == [each["interval_end"] for each in buckets[:-1]]
    assert buckets[0]["interval_start"].endswith("Z")
    completed, failed = buckets[1]["states"]
    assert completed == {
        "state_type": "COMPLETED",
        "state_name": "Completed",
        "count_runs": 2,
        "sum_estimated_run_time": 0.0,
        "sum_estimated_lateness": 0.0,
    }
    assert failed["count_runs"] == 1


@pytest.mark.parametrize(("flows", "runs"), [(["etl"], 2), (["etl", "other"], 3), (["none"], 0)])
async def test_only_some_flows_are_shown_if_so_asked(path: Path, flows: list[str], runs: int) -> None:
    options = [option for flow in flows for option in ("--flow", flow)]
    (bucket,) = orjson.loads((await history(path, "--since", "1h", "--json", *options)).output)
    assert sum(each["count_runs"] for each in bucket["states"]) == runs


async def test_a_day_by_the_hour_is_usual(path: Path) -> None:
    assert len(orjson.loads((await history(path, "--json")).output)) == 24


async def test_a_time_that_is_over_can_be_looked_at(path: Path) -> None:
    for until, runs in (("20m", 3), ("40m", 0)):
        options = ("--since", "60m", "--until", until, "--interval", "10m", "--json")
        buckets = orjson.loads((await history(path, *options)).output)
        assert sum(each["count_runs"] for bucket in buckets for each in bucket["states"]) == runs


@pytest.mark.parametrize("option", ["--since", "--until", "--interval"])
async def test_what_is_no_time_is_refused_with_a_hint(path: Path, option: str) -> None:
    error = (await history(path, option, "soon")).exception
    assert isinstance(error, ConfigError)
    assert str(error).startswith("soon is no ")
    assert "90m, 24h" in str(error.hint)


async def test_too_many_intervals_are_refused(path: Path) -> None:
    error = (await history(path, "--since", "501m", "--interval", "1m")).exception
    assert isinstance(error, ConfigError)
    assert str(error) == "these are 501 intervals, and the most is 500: choose longer ones"


async def test_an_interval_of_nothing_is_refused(path: Path) -> None:
    error = (await history(path, "--interval", "0s")).exception
    assert isinstance(error, ConfigError)
    assert "at least a second" in str(error)


async def test_a_store_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    assert isinstance((await history(tmp_path / "none.db")).exception, StoreError)
