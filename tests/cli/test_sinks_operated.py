"""`streamer sinks list`, `seek`, `forget` and `test`, by a running service and without one."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner, Result

from streamer import config, sinks
from streamer.cli import app
from streamer.errors import ConfigError, Reject, Retry, StoreError
from streamer.model import Record
from streamer.service import Service
from streamer.sinks.lines_file import whole_lines
from streamer.testing import FakePrefect, MemorySink, an_event, until
from tests.place import Place

TYPES = ("type", "package", "version")


@pytest.fixture
async def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    """Return a place where the configuration has one sink, `archive`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    async with FakePrefect() as server:
        place = Place(tmp_path, server)
        place.settings |= {"sink": [], "sinks": {"archive": {"type": "jsonl", "path": str(place.file)}}}
        configured(tmp_path, "archive", place.file)
        yield place


def configured(folder: Path, name: str, file: Path) -> None:
    store = f'store = "sqlite:///{folder}/streamer.db"'
    (folder / "streamer.toml").write_text(f'{store}\n[sinks.{name}]\ntype = "jsonl"\npath = "{file}"\n')


async def streamer(*arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, ["sinks", *arguments])


async def listed() -> dict[str, dict[str, Any]]:
    result = await streamer("list", "--json")
    assert result.exception is None, result.output
    return {each["name"]: each for each in orjson.loads(result.stdout)["sinks"]}


def refused(result: Result) -> Exception:
    assert isinstance(result.exception, ConfigError | StoreError), result.output
    assert result.exception.hint
    return result.exception


async def delivered(place: Place, number: int = 3) -> list[str]:
    """Have so many events delivered; return their ids."""
    events = [an_event() for _ in range(number)]
    place.server.publish(*events)
    await place.has(*events)
    return [each["id"] for each in events]


async def test_list_tells_how_sinks_are_before_while_and_after_a_service_runs(place: Place) -> None:
    assert (await listed())["archive"] == {
        "name": "archive",
        "type": "jsonl",
        "acked": None,
        "behind": 0,
        "oldest_pending": None,
        "dead_letters": 0,
        "state": "new",
        "trouble": None,
    }
    async with place.running() as service:
        await delivered(place)
        await until(lambda: service.core.deliveries[0].lag() == 0)
        archive = (await listed())["archive"]
        assert (archive["acked"], archive["behind"], archive["state"]) == (3, 0, "up")
    archive = (await listed())["archive"]
    assert (archive["acked"], archive["state"]) == (3, "stopped")
    assert (await streamer("list")).stdout.splitlines()[1].split() == ["archive", "jsonl", "3", "0", "0", "stopped"]


async def test_list_tells_why_a_sink_is_down_and_since_when_it_has_not_come_on(place: Place) -> None:
    place.file.mkdir()
    async with place.running(grace=0) as service:
        event = an_event()
        place.server.publish(event)
        await until(lambda: service.core.deliveries[0].lag() == 1 and service.core.deliveries[0].trouble)
        archive = (await listed())["archive"]
        assert (archive["state"], archive["behind"]) == ("down", 1)
        assert archive["oldest_pending"] == event["occurred"].replace("+00:00", "Z")
        assert f"archive is down: {archive['trouble']}" in (await streamer("list")).stdout


async def test_a_sink_that_is_configured_no_more_is_said_and_can_be_forgotten(place: Place, tmp_path: Path) -> None:
    async with place.running():
        await delivered(place)
    configured(tmp_path, "renamed", place.file)
    found = await listed()
    assert (found["renamed"]["state"], found["archive"]["state"], found["archive"]["type"]) == ("new", "removed", None)
    assert "`streamer sinks forget 'archive'`" in (await streamer("list")).stdout
    assert (await streamer("forget", "archive")).output == "archive is forgotten, and so are its 0 dead letters\n"
    assert list(await listed()) == ["renamed"]
    assert "the store knows no sink" in str(refused(await streamer("forget", "archive")))


async def test_a_sink_that_is_configured_is_not_forgotten(place: Place) -> None:
    async with place.running():
        assert "the sink 'archive' is configured" in str(refused(await streamer("forget", "archive")))
    assert "the sink 'archive' is configured" in str(refused(await streamer("forget", "archive")))
    assert (await listed())["archive"]["acked"] == 0


async def test_a_removed_sink_is_said_at_the_start_and_when_the_configuration_is_read_again(place: Place) -> None:
    tables: dict[str, Any] = {"gone": place.settings["sinks"]["archive"], "more": {"type": "stdout"}}
    async with place.running(sinks=dict(tables)):
        await delivered(place)
    del tables["gone"]

    def read_again() -> config.Settings:
        return config.only(**{**place.settings, "sinks": tables})

    with capture_logs() as logged:
        async with place.running(sinks=dict(tables), read_again=read_again) as service:
            assert _said(logged) == [("gone", 0, "streamer sinks forget 'gone'")]
            place.server.publish(an_event())
            await until(lambda: service.core.log.head == 4)
            del tables["more"]
            service.reload()
            await until(lambda: len(_said(logged)) == 3)
    assert [said[:2] for said in _said(logged)] == [("gone", 0), ("gone", 1), ("more", 0)]


def _said(logged: Sequence[Any]) -> list[tuple[str, int, str]]:
    return [(each["sink"], each["behind"], each["hint"]) for each in logged if "not configured" in each["event"]]


async def test_seek_is_done_by_the_service_that_runs(place: Place) -> None:
    async with place.running() as service:
        ids = await delivered(place)
        await until(lambda: service.core.deliveries[0].lag() == 0)
        moved = await streamer("seek", "archive", "--to", "oldest")
        assert moved.output == "archive went from seq 3 to seq 0: 3 records will be given again\n"
        await until(lambda: place.ids() == ids * 2)
        ids += await delivered(place, 1)
    assert len(place.ids()) == 7


async def test_seek_is_done_on_the_store_when_no_service_runs(place: Place) -> None:
    async with place.running():
        ids = await delivered(place)
    assert "3 records will be given again" in (await streamer("seek", "archive", "--to", "1h")).output
    moved = await streamer("seek", "archive", "--to", "head")
    assert moved.output == "archive went from seq 0 to seq 3: 3 records are skipped\n"
    assert "3 records" in (await streamer("seek", "archive", "--to", "oldest")).output
    async with place.running():
        await until(lambda: place.ids() == ids * 2)


@pytest.mark.parametrize(("name", "to"), [("archive", "yesterday"), ("nobody", "head")])
async def test_what_is_no_place_or_no_sink_is_refused(place: Place, name: str, to: str) -> None:
    async with place.running():
        refused(await streamer("seek", name, "--to", to))
    refused(await streamer("seek", name, "--to", to))


async def test_a_test_is_one_marked_record_in_the_sink_and_in_no_log(place: Place) -> None:
    async with place.running(redact={"mask": ["nothing has happened"]}) as service:
        ids = await delivered(place, 1)
        await until(lambda: service.core.deliveries[0].lag() == 0)
        result = await streamer("test", "archive")
        assert (result.exit_code, bool(re.match(r"archive took the test record in \d+ ms", result.output))) == (0, True)
        ids += await delivered(place, 1)
        assert service.core.log.head == 2
    first, record, last = map(orjson.loads, whole_lines(place.file))
    assert [first["id"], last["id"]] == ids
    assert (record["kind"], record["notice"]["about"], record["notice"]["sink"]) == ("notice", "test", "archive")
    assert record["notice"]["message"] == "a test of the sink archive: ***"
    assert record["id"] in result.output


async def test_a_sink_is_tested_here_when_no_service_runs(place: Place) -> None:
    assert (await streamer("test", "archive")).exit_code == 0
    assert (await streamer("test", "archive")).exit_code == 0
    assert len(set(place.ids())) == 2
    assert (await listed())["archive"]["state"] == "new", "a test does not make a cursor"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Reject("no notices"), "refused the test record for good: no notices"),
        (Retry("it rains"), "did not take the test record, which would be tried again: it rains"),
        (ZeroDivisionError("a bug"), "would be tried again: ZeroDivisionError: a bug"),
    ],
)
async def test_what_a_sink_says_is_told(
    place: Place, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    def refuse(_: Sequence[Record]) -> None:
        raise error

    monkeypatch.setattr(sinks, "build", lambda *_, **__: MemorySink(refuse))
    async with place.running() as service:
        await until(lambda: service.core.deliveries[0].is_open)
        result = await streamer("test", "archive")
        assert (result.exit_code, said in result.output) == (1, True)
        assert await service.core.store.buried() == []
    result = await streamer("test", "archive")
    assert (result.exit_code, said in result.output) == (1, True)


async def test_a_sink_that_is_of_transitions_only_is_said_to_have_been_sent_nothing(
    place: Place, tmp_path: Path
) -> None:
    with (tmp_path / "streamer.toml").open("a") as file:
        file.write('format = "openlineage"\nnamespace = "here"\n')
    result = await streamer("test", "archive")
    assert (result.exit_code, "was not sent the test record" in result.output) == (1, True)


async def test_a_sink_that_is_not_there_cannot_be_tested(place: Place) -> None:
    assert "there are: archive" in str(getattr(refused(await streamer("test", "nobody")), "hint", ""))


async def test_a_new_sink_may_start_at_a_time(place: Place, tmp_path: Path) -> None:
    async with place.running():
        await delivered(place)
    late = tmp_path / "late.jsonl"
    tables = {"late": {"type": "jsonl", "path": str(late), "start": "1h"}}
    async with place.running(sinks=tables):
        await until(lambda: len(whole_lines(late)) == 3)


async def test_types_are_those_of_ours_and_of_others_with_their_package() -> None:
    found = orjson.loads((await streamer("list", "--types", "--json")).stdout)["types"]
    assert [each["type"] for each in found] == sinks.installed()
    assert {tuple(each) for each in found} == {TYPES}
    assert "prefect-streamer" in (await streamer("list", "--types")).stdout


async def test_the_api_answers_as_the_command_does(place: Place) -> None:
    async with place.running() as service:
        await delivered(place)
        await until(lambda: service.core.deliveries[0].lag() == 0)
        assert (await _get(service, "/api/sinks"))["sinks"] == list((await listed()).values())


async def _get(service: Service, path: str) -> Any:
    import httpx

    async with httpx.AsyncClient(base_url=await service.started(), trust_env=False) as http:
        return (await http.get(path)).json()
