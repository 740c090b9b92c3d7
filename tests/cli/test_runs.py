"""`streamer runs` and `streamer inspect` on a store."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import orjson
import pytest
from typer.testing import CliRunner, Result

from schemas import Event, State, StateType, decode
from schemas.ours import Ruling, VerdictStatus
from schemas.verdicts import verdict
from streamer.cli import app
from streamer.errors import ConfigError
from streamer.model import Net
from streamer.store.sqlite import SqliteStore
from streamer.testing import an_event
from streamer.testing.conformance import EPOCH
from tests.frames import bare, heartbeat

NOW = datetime.now(UTC)
DEAD, ALIVE = uuid4(), uuid4()


def event(run: UUID, ago: int, after: str, **changes: object) -> Event:
    moment = NOW - timedelta(seconds=ago)
    return decode(orjson.dumps(an_event(run=str(run), after=after, occurred=moment, **changes)))  # type: ignore[arg-type]


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A store with a run that lives, and one that a verdict stands of."""
    store = SqliteStore.open(tmp_path / "streamer.db")
    await store.open_source("default", identity="a server", now=EPOCH)
    started = event(DEAD, 600, "RUNNING")
    beats = [decode(bare(heartbeat(DEAD, occurred=NOW - timedelta(seconds=ago)))) for ago in (590, 560)]
    await store.append("default", [event(ALIVE, 30, "RUNNING"), started, *beats], net=Net.LIVE)
    ruling = Ruling(
        status=VerdictStatus.ZOMBIE,
        reason="heartbeat_missing",
        since=NOW,
        state=State(type=StateType.RUNNING, name="Running"),
    )
    raw = verdict("default", DEAD, ruling, anchor=1, occurred=NOW, newest=started)
    await store.append("default", [decode(raw)], net=Net.STATES)
    await store.close()
    return tmp_path / "streamer.db"


async def streamer(path: Path, *arguments: str) -> Result:
    invoke = CliRunner().invoke
    return await asyncio.to_thread(invoke, app, [*arguments, "--store", f"sqlite:///{path}"], env={"COLUMNS": "160"})


async def test_runs_are_listed_newest_first(path: Path) -> None:
    result = await streamer(path, "runs", "--json")
    found = [orjson.loads(line) for line in result.output.splitlines()]
    assert [each["id"] for each in found] == [str(ALIVE), str(DEAD)]
    assert (found[0]["flow"]["name"], found[0]["state"]["type"], found[0]["verdict"]) == ("etl", "RUNNING", None)
    assert len((await streamer(path, "runs", "--json", "--limit", "1")).output.splitlines()) == 1


async def test_zombies_are_those_that_a_verdict_stands_of(path: Path) -> None:
    result = await streamer(path, "runs", "--zombie")
    assert "zombie: heartbeat_missing" in result.output
    assert f"run-{str(ALIVE)[:8]}" not in result.output


async def test_none_is_said_in_words(tmp_path: Path) -> None:
    await SqliteStore.open(tmp_path / "streamer.db").close()
    assert "no run is such" in (await streamer(tmp_path / "streamer.db", "runs")).output


async def test_inspect_shows_states_beats_and_verdict(path: Path) -> None:
    result = await streamer(path, "inspect", str(DEAD))
    assert "Running" in result.output
    assert "30.0 s" in result.output
    assert "held to be zombie" in result.output


@pytest.mark.parametrize("run", ["crimson-fox", str(UUID(int=0))])
async def test_a_run_that_is_not_there_is_a_clear_error(path: Path, run: str) -> None:
    result = await streamer(path, "inspect", run)
    assert isinstance(result.exception, ConfigError)
    assert result.exception.hint
