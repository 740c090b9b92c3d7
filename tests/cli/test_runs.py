"""`streamer runs` on a store: which are shown, in which order, how many, and as they go on."""

import asyncio
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
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
from tests.running import isolated

NOW = datetime.now(UTC)
DEAD, ALIVE, FAILED = uuid4(), uuid4(), uuid4()
MANY = 1_200
"""More than the largest page."""


def seconds_ago(number: int) -> str:
    return (NOW - timedelta(seconds=number)).isoformat()


def event(run: UUID, ago: int, after: str, **changes: object) -> Event:
    moment = NOW - timedelta(seconds=ago)
    return decode(orjson.dumps(an_event(run=str(run), after=after, occurred=moment, **changes)))  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMER_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A store with a run that lives, one that a verdict stands of, and one that failed."""
    store = SqliteStore.open(tmp_path / "streamer.db")
    await store.open_source("default", identity="a server", now=EPOCH)
    started = event(DEAD, 600, "RUNNING")
    beats = [decode(bare(heartbeat(DEAD, occurred=NOW - timedelta(seconds=ago)))) for ago in (590, 560)]
    failed = [event(FAILED, 700, "RUNNING"), event(FAILED, 20, "FAILED", before="RUNNING")]
    await store.append("default", [*failed, event(ALIVE, 30, "RUNNING"), started, *beats], net=Net.LIVE)
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


async def listed(path: Path, *arguments: str) -> list[dict[str, Any]]:
    result = await streamer(path, "runs", "--json", *arguments)
    assert result.exit_code == 0, result.output
    return [orjson.loads(line) for line in result.stdout.splitlines()]


async def test_runs_are_listed_newest_first(path: Path) -> None:
    found = await listed(path)
    assert [each["id"] for each in found] == [str(ALIVE), str(DEAD), str(FAILED)]
    assert (found[0]["flow"]["name"], found[0]["state"]["type"], found[0]["verdict"]) == ("etl", "RUNNING", None)
    assert len(await listed(path, "--limit", "1")) == 1


@pytest.mark.parametrize(
    ("arguments", "runs"),
    [
        (("--state", "failed"), [FAILED]),
        (("--state", "FAILED", "--state", "Running"), [ALIVE, DEAD, FAILED]),
        (("--state-name", "Fail*"), [FAILED]),
        (("--zombie",), [DEAD]),
        (("--flow", "e*", "--oldest-first"), [FAILED, DEAD, ALIVE]),
        (("--flow", "load"), []),
        (("--name", f"run-{str(DEAD)[:8]}"), [DEAD]),
        (("--sort", "state"), [FAILED, ALIVE, DEAD]),
        (("--sort", "ended"), [FAILED]),
        (("--since", seconds_ago(300)), [ALIVE]),
        (("--until", seconds_ago(300)), [DEAD, FAILED]),
        (("--since", seconds_ago(650), "--until", seconds_ago(300)), [DEAD]),
        (("--since", "7d"), [ALIVE, DEAD, FAILED]),
        (("--until", "7d"), []),
        (("--deleted",), []),
        (("--subflows",), []),
        (("--no-subflows", "--sort", "started"), [ALIVE, DEAD, FAILED]),
        (("--work-pool", "local"), []),
        (("--deployment", "nightly"), []),
        (("--tag", "prod", "--tag", "dev"), []),
    ],
)
async def test_only_those_that_are_asked_for_are_listed(
    path: Path, arguments: tuple[str, ...], runs: list[UUID]
) -> None:
    assert [each["id"] for each in await listed(path, *arguments)] == list(map(str, runs))


async def test_runs_are_shown_with_state_heartbeat_and_verdict(path: Path) -> None:
    result = await streamer(path, "runs", "--zombie")
    assert f"run-{str(DEAD)[:8]}" in result.output
    assert "zombie: heartbeat_missing" in result.output
    assert re.search(r"Running +\d+[mh] ago +\d+[mh] \d+[sm] +\d+[mh] ago +zombie", result.output)
    assert f"run-{str(ALIVE)[:8]}" not in result.output


async def test_none_is_said_in_words(tmp_path: Path) -> None:
    await SqliteStore.open(tmp_path / "streamer.db").close()
    assert "no run is such" in (await streamer(tmp_path / "streamer.db", "runs")).output


async def test_more_than_a_page_are_listed_each_once(path: Path) -> None:
    store = SqliteStore.open(path)
    await store.append("default", [event(uuid4(), 1_000 + each, "PENDING") for each in range(MANY)], net=Net.LIVE)
    await store.close()
    found = [each["id"] for each in await listed(path, "--limit", "100000")]
    assert (len(found), len(set(found))) == (MANY + 3, MANY + 3)
    assert [each["id"] for each in await listed(path, "--limit", str(MANY))] == found[:MANY]


async def test_an_unknown_state_is_refused_with_those_there_are(path: Path) -> None:
    result = await streamer(path, "runs", "--state", "DEAD")
    assert result.exit_code == 2
    assert all(state.lower() in result.output.lower() for state in StateType)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--since", "yesterday"), "is no time"),
        (("--name", "x" * 2_000), "names cannot be asked so"),
        (("--service", "http://127.0.0.1:9"), "a service has a store"),
    ],
)
async def test_what_cannot_be_asked_is_a_clear_error(path: Path, arguments: tuple[str, ...], said: str) -> None:
    error = (await streamer(path, "runs", *arguments)).exception
    assert isinstance(error, ConfigError)
    assert said in str(error)


@contextmanager
def watching(path: Path, out: int, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run `streamer runs --watch` as a process that writes there."""
    executable = Path(sys.executable).with_name("streamer")
    command = [str(executable), "runs", "--watch", "--store", f"sqlite:///{path}", *arguments]
    environment = {**isolated(path.parent), "TERM": "xterm", "COLUMNS": "160"}
    with subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.usefixtures("interruptible")
async def test_a_watched_table_is_shown_until_it_is_interrupted(path: Path) -> None:
    ours, theirs = pty.openpty()
    with watching(path, theirs) as process:
        shown = b""
        while b"heartbeat_missing" not in shown:
            shown += os.read(ours, 65_536)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
        assert process.returncode == 0
    assert said == b"no service runs on this store: what happens from now on will not be seen\n"


@pytest.mark.usefixtures("interruptible")
async def test_changes_are_told_where_there_is_no_terminal(path: Path) -> None:
    with watching(path, subprocess.PIPE, "--json") as process:
        assert process.stdout
        first = [orjson.loads(process.stdout.readline())["id"] for _ in range(3)]
        assert first == [str(FAILED), str(DEAD), str(ALIVE)]
        store = SqliteStore.open(path)
        await store.append("default", [event(ALIVE, 0, "COMPLETED", before="RUNNING")], net=Net.LIVE)
        await store.close()
        change = orjson.loads(process.stdout.readline())
        assert (change["id"], change["state"]["type"]) == (str(ALIVE), "COMPLETED")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
