"""`streamer quarantine` and what stands behind it: frames are looked at, and tried again by whoever holds the store."""

import asyncio
import shlex
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from schemas import InvalidEvent, Reason
from streamer.cli import app
from streamer.errors import StreamerError
from streamer.model import Family, Frame, Net
from streamer.store.sqlite import SqliteStore
from streamer.testing import FakePrefect, an_event, until
from streamer.testing.conformance import EPOCH
from tests.frames import bare, frame
from tests.place import Place

TOO_NEW = an_event()
NONSENSE = b"\xff{"


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with FakePrefect() as server:
        yield Place(tmp_path, server)


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A store that an older version left, which refused an event that is valid now, and nonsense."""
    store = SqliteStore.open(tmp_path / "streamer.db")
    await store.open_source("default", identity="http://server/api", now=EPOCH)
    refusal = InvalidEvent(Reason.SCHEMA, "payload.validated_state.type: [unheard of]")
    await store.quarantine(Frame("default", Net.LIVE, frame(TOO_NEW)), refusal)
    await store.quarantine(Frame("default", Net.SWEEP, NONSENSE), InvalidEvent(Reason.JSON, "no JSON"))
    await store.close()
    return tmp_path / "streamer.db"


def quarantine(path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["quarantine", *arguments, "--store", f"sqlite:///{path}"], terminal_width=200)


async def left(path: Path) -> list[str]:
    store = SqliteStore.open_read_only(path)
    try:
        return [each.reason for each in await store.refused()]
    finally:
        await store.close()


async def logged(path: Path) -> list[str]:
    store = SqliteStore.open_read_only(path)
    try:
        return [str(each.event.id) for each in await store.after(0, 10)]
    finally:
        await store.close()


async def test_list_tells_key_and_reason(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    listed = await asyncio.to_thread(quarantine, path, "list")
    assert TOO_NEW["id"].replace("-", "")[:12] in listed.output
    assert "[unheard of]" in listed.output
    only = await asyncio.to_thread(quarantine, path, "list", "--reason", "json")
    assert ("no JSON" in only.output, "unheard of" in only.output) == (True, False)
    assert "nothing is in quarantine" in (await asyncio.to_thread(quarantine, path, "list", "--reason", "x")).output


async def test_show_prints_the_frame_as_it_came(path: Path) -> None:
    shown = await asyncio.to_thread(quarantine, path, "show", TOO_NEW["id"][:8])
    assert shown.stdout_bytes == frame(TOO_NEW) + b"\n"


@pytest.mark.parametrize("arguments", ["show zz", "show ''", "retry", "retry zz", "retry a --all"])
async def test_what_names_no_frame_is_a_clear_error(path: Path, arguments: str) -> None:
    result = await asyncio.to_thread(quarantine, path, *shlex.split(arguments))
    assert isinstance(result.exception, StreamerError)
    assert result.exception.hint


async def test_retry_lets_in_what_is_valid_now_and_keeps_the_rest(path: Path) -> None:
    result = await asyncio.to_thread(quarantine, path, "retry", "--all")
    assert result.output == "1 of 2 are valid now, and in the log\n"
    assert (await left(path), await logged(path)) == (["json"], [TOO_NEW["id"]])
    store = SqliteStore.open(path)
    counted = sum(
        value for counter, value in (await store.totals()).counts.items() if counter.family is Family.TRANSITIONS
    )
    await store.close()
    assert counted == 1


async def test_retry_of_one_leaves_the_others_alone(path: Path) -> None:
    result = await asyncio.to_thread(quarantine, path, "retry", TOO_NEW["id"])
    assert result.output == "1 of 1 are valid now, and in the log\n"
    assert await left(path) == ["json"]


async def test_a_running_service_does_it_and_its_sinks_have_the_event(place: Place) -> None:
    async with place.running() as service:
        event = an_event()
        refused = Frame("default", Net.LIVE, bare(event))
        await service.core.store.quarantine(refused, InvalidEvent(Reason.SCHEMA, "unheard of"))
        result = await asyncio.to_thread(quarantine, service.core.settings.store_path, "retry", "--all")
        assert result.output == "1 of 1 are valid now, and in the log\n"
        await until(lambda: place.ids() == [event["id"]])


async def test_an_event_that_comes_again_valid_leaves_quarantine_by_itself(place: Place) -> None:
    async with place.running() as service:
        event = an_event()
        refused = Frame("default", Net.LIVE, bare(event))
        await service.core.store.quarantine(refused, InvalidEvent(Reason.SCHEMA, "unheard of"))
        place.server.publish(event)
        await until(lambda: place.ids() == [event["id"]])
        assert await service.core.store.refused() == []


@pytest.mark.parametrize("token", ["", "Bearer wrong", "wrong", "Bearer ü"])
async def test_nobody_commands_a_service_without_its_token(place: Place, token: str) -> None:
    async with place.running() as service, httpx.AsyncClient(trust_env=False) as http:
        url = f"{await service.started()}/api/control/quarantine/retry"
        headers = {b"Authorization": token.encode()}
        assert (await http.post(url, json={"keys": []}, headers=headers)).status_code == 403


async def test_arguments_that_make_no_sense_are_refused(place: Place) -> None:
    async with place.running() as service, httpx.AsyncClient(trust_env=False) as http:
        url = f"{await service.started()}/api/control/quarantine/retry"
        headers = {"Authorization": f"Bearer {service.core.store.token}"}
        for body in (b"{", b"[]", b'{"kyes": []}', b'{"keys": ["zz"]}'):
            assert (await http.post(url, content=body, headers=headers)).status_code == 400


def test_only_the_owner_may_read_the_token(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "streamer.db", address="http://here")
    mode = (tmp_path / "streamer.db.lock").stat().st_mode & 0o777
    asyncio.run(store.close())
    assert mode == 0o600
