"""`streamer top` in a pseudo-terminal, on a real service beside a fake server; and as one picture."""

import asyncio
import os
import signal
import sys
import termios
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner, Result

from streamer.cli import app
from streamer.cli.top_terminal import Terminal
from streamer.errors import AuthenticationFailed, ConfigError, ConnectionLost, SourceError, StoreError
from streamer.testing import FakePrefect, an_event
from tests.place import Place
from tests.running import RunningService, isolated
from tests.screens import Screen

COMMAND = (sys.executable, "-m", "streamer", "top")


@pytest.fixture
async def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    """Return a place whose store is that of the settings."""
    monkeypatch.chdir(tmp_path)
    async with FakePrefect() as server:
        place = Place(tmp_path, server)
        monkeypatch.setenv("STREAMER_STORE", place.settings["store"])
        yield place


def named(name: str, **fields: Any) -> dict[str, Any]:
    event = an_event(**fields)
    event["resource"]["prefect.resource.name"] = name
    return event


@contextmanager
def looking(folder: Path, *arguments: str, **environment: str) -> Iterator[Screen]:
    """Look at the service on the store in a folder."""
    store = f"sqlite:///{folder}/streamer.db"
    with Screen([*COMMAND, *arguments], isolated(folder) | {"STREAMER_STORE": store} | environment) as screen:
        yield screen


in_thread = asyncio.to_thread
"""What waits for the screen, while the service goes on in this thread."""


async def test_it_shows_what_is_there_and_what_happens_and_obeys_keys(place: Place) -> None:
    async with place.running():
        place.server.publish(named("early-bird"), named("other-one", before=None, after="PENDING"))
        with looking(place.file.parent) as screen:
            await in_thread(screen.wait_for, "All is well", "2 runs", "etl / early-bird", "jsonl:", "? help")
            place.server.publish(named("late-\x1b[2Jcomer", after="FAILED"))
            await in_thread(screen.wait_for, "Pending → Failed", "late-comer")
            screen.type("/early")
            await in_thread(screen.wait_until, lambda: "other-one" not in screen.text)
            assert "filter: early_" in screen.text
            screen.type("\x1b")
            await in_thread(screen.wait_for, "other-one")
            screen.type("ss")
            await in_thread(screen.wait_for, "RUNS, by name")
            screen.type("z")
            await in_thread(screen.wait_for, "only zombies", "none is such")
            screen.type("z ")
            await in_thread(screen.wait_for, "PAUSED", "early-bird")
            place.server.publish(named("unseen"))
            await place.has(place.server.events[-1])
            screen.type("?")
            await in_thread(screen.wait_for, "go on")
            assert "unseen" not in screen.text
            screen.type(" ")
            await in_thread(screen.wait_for, "unseen")
            screen.type("q")
            assert await in_thread(screen.ended) == 0
            assert screen.is_as_it_was()


async def test_a_filter_finds_runs_beyond_those_that_are_shown_first(place: Place) -> None:
    async with place.running():
        place.server.publish(named("needle"), *(named(f"hay-{number}") for number in range(40)))
        with looking(place.file.parent) as screen:
            await in_thread(screen.wait_for, "of 41", "hay-39")
            screen.type("/needle")
            await in_thread(screen.wait_until, lambda: screen.text.count("etl / needle") == 2)
            assert "hay" not in screen.text


async def test_it_fits_itself_to_the_terminal_and_comes_back_after_ctrl_z(place: Place) -> None:
    async with place.running() as service:
        place.server.publish(*(named(f"run-{number}") for number in range(12)))
        address = await service.started()
        with looking(place.file.parent, "--service", address, LC_ALL="C", NO_COLOR="1") as screen:
            await in_thread(screen.wait_for, "of 12", "? help", "RRRR", "Pending -> Running")
            assert screen.is_ascii
            screen.resize(120, 50)
            await in_thread(screen.wait_until, lambda: "of 12" not in screen.text and "? help" in screen.lines[-1])
            assert "last" in screen.text
            screen.type("\x1a")
            await in_thread(screen.wait_until, screen.is_stopped)
            assert screen.is_as_it_was()
            screen.resize(60, 10)
            screen.go_on()
            await in_thread(screen.wait_until, lambda: "? help" in screen.lines[9])
            screen.type("\x03")
            assert await in_thread(screen.ended) == 0
            assert screen.is_as_it_was()


async def test_a_service_that_goes_away_is_waited_for(tmp_path: Path) -> None:
    async with FakePrefect() as server:
        service = RunningService(tmp_path, server.api_url)
        await in_thread(service.start)
        server.publish(named("before"))
        with looking(tmp_path / ".streamer") as screen:
            await in_thread(screen.wait_for, "All is well", "etl / before")
            await in_thread(service.stop)
            await in_thread(screen.wait_for, "Nothing new is heard: no service runs on the store", "etl / before")
            await in_thread(service.start)
            server.publish(named("afterwards"))
            await in_thread(screen.wait_for, "All is well", "etl / afterwards", "etl / before")
            screen.process.send_signal(signal.SIGTERM)
            assert await in_thread(screen.ended) == 0
            assert screen.is_as_it_was()
        await in_thread(service.stop)


@contextmanager
def own_terminal() -> Iterator[int]:
    """Have a terminal that is this process's for the length of the block."""
    ours, its = os.openpty()
    with (
        pytest.MonkeyPatch.context() as patch,
        os.fdopen(ours),
        os.fdopen(its) as keyboard,
        os.fdopen(os.dup(its), "w") as screen,
    ):
        patch.setattr(sys, "stdin", keyboard)
        patch.setattr(sys, "stdout", screen)
        yield its


def test_the_terminal_is_put_back_when_something_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    with own_terminal() as its:
        before = termios.tcgetattr(its)
        with suppress(RuntimeError), Terminal():
            assert termios.tcgetattr(its) != before
            raise RuntimeError
        assert termios.tcgetattr(its) == before


def test_a_terminal_that_cannot_be_painted_on_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    with own_terminal(), pytest.raises(ConfigError, match="TERM=dumb"):
        Terminal()


async def streamer(*arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, ["top", *arguments])


async def test_one_picture_is_printed(place: Place) -> None:
    async with place.running() as service:
        place.server.publish(event := named("early-bird"))
        await place.has(event)
        for where in ((), ("--service", await service.started() + "/")):
            result = await streamer("--once", *where)
            assert "All is well" in result.stdout, result.output
            assert "etl / early-bird" in result.stdout
            assert "\x1b" not in result.stdout
        told = orjson.loads((await streamer("--once", "--json")).stdout)
        assert [run["name"] for run in told["runs"]["items"]] == ["early-bird"]


@pytest.mark.parametrize("by", ["token", "password"])
async def test_who_asks_is_proved_as_the_settings_say(place: Place, by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    access = {"token": "let-me-in"} if by == "token" else {"username": "me", "password": "let-me-in"}
    service = place.service(access=access)
    running = asyncio.create_task(service.run())
    where = ("--once", "--service", await service.started())
    assert isinstance(refused(await streamer(*where)), AuthenticationFailed)
    for name, value in access.items():
        monkeypatch.setenv(f"STREAMER_ACCESS__{name.upper()}", value)
    assert "no run is under way" in (await streamer(*where)).stdout
    service.stop()
    await running


def refused(result: Result) -> Exception:
    assert isinstance(result.exception, ConfigError | SourceError | StoreError), result.output
    assert result.exception.hint
    return result.exception


@pytest.mark.parametrize(
    ("arguments", "kind", "sentence"),
    [
        ((), ConfigError, "there is no terminal"),
        (("--once",), StoreError, "no service runs on the store"),
        (("--json",), ConfigError, "--json is one picture"),
        (("--service", "http://127.0.0.1:9", "--once"), ConnectionLost, "127.0.0.1:9 does not answer"),
        (("--service", "nowhere", "--once"), ConfigError, "nowhere is no address"),
        (("--service", "http://x", "--store", "sqlite:///x.db"), ConfigError, "leave --store out"),
    ],
)
async def test_a_mistake_is_told(
    place: Place, arguments: tuple[str, ...], kind: type[Exception], sentence: str
) -> None:
    error = refused(await streamer(*arguments))
    assert isinstance(error, kind)
    assert sentence in f"{error} {getattr(error, 'hint', '')}"


async def test_an_address_of_something_else_is_told(place: Place) -> None:
    error = refused(await streamer("--once", "--service", place.server.api_url.removesuffix("/api")))
    assert "answered 404" in str(error)
