"""The executable as an operator has it: what it prints, how it ends, and that errors are a sentence and a hint."""

import asyncio
import gzip
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from schemas.export import FOLDER as SCHEMAS
from streamer import config
from streamer.cli import app
from streamer.model import Net
from streamer.service import Service
from streamer.store.lock import StoreLock
from streamer.store.sqlite import SqliteStore
from streamer.testing import FakePrefect, an_event, until
from streamer.testing.conformance import EPOCH, events
from tests.frames import captured, captured_events
from tests.running import isolated

DIRECT, WORKER = "direct-3.8.8.jsonl", "worker-3.8.8.jsonl"
OF_WORKER = "45 new records, 14 heartbeats, 0 were there already, 0 in quarantine"
PASSWORD = "admin:hunter2-unlikely"
NOWHERE = "http://127.0.0.1:9/api"


@dataclass(frozen=True, slots=True)
class Result:
    """How a process ended, and what it printed."""

    status: int
    out: str
    err: str


class Shell:
    """A folder to run `streamer` in, with an environment of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = isolated(folder)

    async def start(self, *arguments: str | Path, **variables: str) -> Process:
        executable = Path(sys.executable).with_name("streamer")
        environment = {**self.environment, **variables}
        return await asyncio.create_subprocess_exec(
            executable, *arguments, cwd=self.folder, env=environment, stdin=PIPE, stdout=PIPE, stderr=PIPE
        )

    async def __call__(self, *arguments: str | Path, stdin: bytes = b"", **variables: str) -> Result:
        """Run `streamer` to its end; it never shows a traceback."""
        process = await self.start(*arguments, **variables)
        out, err = await asyncio.wait_for(process.communicate(stdin), 30)
        assert process.returncode is not None
        assert b"Traceback" not in err, err.decode()
        return Result(process.returncode, out.decode(), err.decode())

    @asynccontextmanager
    async def running(self, *arguments: str, **variables: str) -> AsyncIterator[Process]:
        """Run `streamer` for the length of the block."""
        process = await self.start(*arguments, **variables)
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    def write(self, name: str, content: bytes) -> Path:
        file = self.folder / name
        file.write_bytes(content)
        return file

    def size(self, name: str) -> int:
        return (self.folder / name).stat().st_size


@pytest.fixture
def streamer(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture
async def server() -> AsyncIterator[FakePrefect]:
    async with FakePrefect() as fake:
        yield fake


@pytest.fixture
async def store(streamer: Shell) -> SqliteStore:
    """The store of a service that has ended, with three records that a sink has."""
    store = SqliteStore.open(streamer.folder / ".streamer/streamer.db")
    await store.open_source("default", identity="http://old/api", now=EPOCH)
    await store.append("default", events(3), net=Net.LIVE)
    await store.cursor("jsonl:runs.jsonl")
    await store.close()
    return store


def command_paths(command: Any, *path: str) -> Iterator[tuple[str, ...]]:
    """Yield the words that lead to each command and group."""
    yield path
    for name, each in getattr(command, "commands", {}).items():
        yield from command_paths(each, *path, name)


def capture(name: str) -> bytes:
    return b"\n".join(captured(name)) + b"\n"


async def test_it_tells_its_version(streamer: Shell) -> None:
    assert await streamer("--version") == Result(0, f"streamer {version('prefect-streamer')}\n", "")


async def test_help_names_the_commands(streamer: Shell) -> None:
    helped = await streamer("--help")
    assert helped.status == 0
    for name, *rest in filter(None, command_paths(get_command(app))):
        assert rest or name in helped.out


@pytest.mark.parametrize("path", list(command_paths(get_command(app))), ids=" ".join)
def test_every_command_explains_itself(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*path, "--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.output


@pytest.mark.parametrize("arguments", [["run", "--nonsense"], ["nonsense"], ["replay"], ["store", "backup"]])
def test_wrong_usage_ends_with_2(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Usage: " in result.stderr


async def test_an_unknown_option_ends_with_2(streamer: Shell) -> None:
    result = await streamer("run", "--nonsense")
    assert (result.status, result.out) == (2, "")
    assert "No such option: --nonsense" in result.err


async def test_an_unknown_variable_ends_with_2_and_the_nearest_known_one(streamer: Shell) -> None:
    result = await streamer("run", STREAMER_APIURL=NOWHERE)
    said = "error: the environment variable STREAMER_APIURL is no setting\nhint: did you mean STREAMER_API_URL?\n"
    assert result == Result(2, "", said)


async def test_an_unknown_key_in_the_configuration_ends_with_2_and_the_nearest_known_one(streamer: Shell) -> None:
    file = streamer.write("my.toml", b'lissten = "127.0.0.1:0"')
    result = await streamer("run", "--config", file)
    assert result == Result(2, "", "error: lissten is no setting (did you mean listen?)\n")


@pytest.mark.parametrize("name", ["record", "transition"])
def test_a_schema_is_printed_by_name(name: str) -> None:
    result = CliRunner().invoke(app, ["schema", name])
    assert (result.exit_code, result.stdout) == (0, (SCHEMAS / f"{name}.json").read_text())


async def test_the_schema_of_the_configuration_has_every_setting(streamer: Shell) -> None:
    result = await streamer("schema", "configuration")
    assert set(orjson.loads(result.out)["properties"]) == set(config.Settings.model_fields)


async def test_an_unknown_schema_ends_with_2_and_those_there_are(streamer: Shell) -> None:
    result = await streamer("schema", "nonsense")
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith("error: there is no schema 'nonsense'\nhint: there are: record, transition")


async def test_a_replay_brings_a_capture_into_store_and_sink_and_a_second_one_nothing(streamer: Shell) -> None:
    file = streamer.write(DIRECT, capture(DIRECT))
    first = await streamer("replay", file, "--sink", "jsonl:runs.jsonl")
    assert (first.status, first.out) == (0, "")
    assert "31 new records, 10 heartbeats, 0 were there already, 0 in quarantine" in first.err
    again = await streamer("replay", file, file, "--sink", "jsonl:runs.jsonl")
    assert "0 new records, 0 heartbeats, 82 were there already, 0 in quarantine" in again.err
    brought = [orjson.loads(line)["id"] for line in (streamer.folder / "runs.jsonl").read_bytes().splitlines()]
    assert len(set(brought)) == len(brought) == 31
    assert set(brought) <= {event["id"] for event in captured_events(DIRECT)}


async def test_a_replay_reads_compressed_files(streamer: Shell) -> None:
    file = streamer.write(f"{WORKER}.gz", gzip.compress(capture(WORKER)))
    assert OF_WORKER in (await streamer("replay", file)).err


async def test_a_replay_reads_standard_input(streamer: Shell) -> None:
    assert OF_WORKER in (await streamer("replay", "-", stdin=capture(WORKER))).err


async def test_a_replay_reads_bare_events_with_blank_lines_and_without_a_last_line_break(streamer: Shell) -> None:
    file = streamer.write("bare.jsonl", b"\r\n\r\n".join(map(orjson.dumps, captured_events(WORKER))))
    assert OF_WORKER in (await streamer("replay", file)).err


async def test_a_replay_counts_what_went_to_quarantine(streamer: Shell) -> None:
    lines = b"\n".join([b"{", orjson.dumps(an_event()), b'{"type":"event","event":{}}', b"\xff"])
    result = await streamer("replay", "-", stdin=lines)
    assert result.status == 0
    assert "1 new records, 0 heartbeats, 0 were there already, 3 in quarantine" in result.err


async def test_a_replay_prints_to_a_sink_on_standard_output_and_nothing_else(streamer: Shell) -> None:
    result = await streamer("replay", "-", "--sink", "stdout:", stdin=orjson.dumps(event := an_event()))
    assert [orjson.loads(line)["id"] for line in result.out.splitlines()] == [event["id"]]


@pytest.mark.parametrize(
    ("name", "content"),
    [("there-is-none.jsonl", None), ("no.gz", b"junk"), ("cut.gz", gzip.compress(b"x" * 99, mtime=0)[:20])],
)
async def test_a_replay_of_what_cannot_be_read_ends_with_2(streamer: Shell, name: str, content: bytes | None) -> None:
    if content:
        streamer.write(name, content)
    result = await streamer("replay", name)
    assert (result.status, result.out) == (2, "")
    assert f"error: cannot read {name}: " in result.err


async def test_a_store_is_looked_at(streamer: Shell, store: SqliteStore) -> None:
    shown = await streamer("store", "info")
    told = dict(re.split(r"\s{2,}", line.strip(), maxsplit=1) for line in shown.out.splitlines() if line[1:2].strip())
    assert (told["events, by the net that first brought them"], told["live"]) == ("default", "3")
    assert (told["in all"], told["of these the server has"], told["came again"]) == ("3", "3", "0")
    assert (told["records"], told["runs"], told["service"]) == ("3, seq up to 3", "3", "none runs on it")
    assert told["reader jsonl:runs.jsonl"] == "at 3"


async def test_a_store_is_saved_and_restored(streamer: Shell, store: SqliteStore) -> None:
    saved = await streamer("store", "backup", "saved.db")
    assert saved.out == f"saved.db: {streamer.size('saved.db')} bytes, checked\n"
    again, restored, vacuumed = await asyncio.gather(
        streamer("store", "backup", "saved.db"),
        streamer("store", "restore", "saved.db", "--store", "sqlite:///other.db"),
        streamer("store", "vacuum"),
    )
    assert (again.status, "hint: choose another name" in again.err) == (2, True)
    assert restored == Result(0, "restored\n", "")
    assert (vacuumed.status, "bytes before" in vacuumed.out) == (0, True)
    assert "3, seq up to 3" in (await streamer("store", "info", "--store", "sqlite:///other.db")).out


async def test_a_store_is_not_replaced_unless_forced(streamer: Shell, store: SqliteStore) -> None:
    streamer.write("saved.db", await asyncio.to_thread(store.path.read_bytes))
    refused = await streamer("store", "restore", "saved.db")
    assert (refused.status, "hint: use --force" in refused.err) == (2, True)
    assert (await streamer("store", "restore", "saved.db", "--force")).status == 0
    assert streamer.size(".streamer/streamer.db.replaced") == streamer.size("saved.db")


async def test_a_source_that_moved_is_adopted(streamer: Shell, store: SqliteStore) -> None:
    unknown = await streamer("store", "adopt", "http://new/api", "--source", "nobody")
    assert (unknown.status, "hint: it has: default" in unknown.err) == (2, True)
    assert (await streamer("store", "adopt", "http://new/api/")).status == 0
    assert "http://new/api, counting since" in (await streamer("store", "info")).out


async def test_there_must_be_a_store_to_look_at(streamer: Shell) -> None:
    result = await streamer("store", "info")
    assert (result.status, result.out) == (1, "")
    assert result.err.startswith(f"error: there is no store at {streamer.folder}/.streamer/streamer.db\nhint: ")


async def test_check_tells_what_works(streamer: Shell, server: FakePrefect) -> None:
    server.auth_string = PASSWORD
    arguments = ("check", "--api-url", server.api_url, "--sink", "jsonl:a")
    result = await streamer(*arguments, STREAMER_LOG_LEVEL="DEBUG", STREAMER_AUTH_STRING=PASSWORD)
    assert (result.status, result.err) == (0, "")
    assert [line[0] for line in result.out.splitlines()] == ["✓"] * 5
    assert "hunter2" not in result.out


async def test_check_with_wrong_credentials_ends_with_3(streamer: Shell, server: FakePrefect) -> None:
    server.auth_string = PASSWORD
    result = await streamer("check", "--api-url", server.api_url, STREAMER_AUTH_STRING="admin:wrong")
    assert result.status == 3
    assert "✗ REST: the server refused our credentials: 401" in result.out
    assert "✗ event stream: the server refused our credentials" in result.out
    assert "→ check PREFECT_API_KEY (Cloud) or PREFECT_API_AUTH_STRING" in result.out
    assert "admin:wrong" not in result.out + result.err


async def test_check_tells_of_each_source(streamer: Shell, server: FakePrefect) -> None:
    result = await streamer(
        "check", STREAMER_SOURCES__NORTH__API_URL=server.api_url, STREAMER_SOURCES__SOUTH__API_URL=NOWHERE
    )
    assert (result.status, result.err) == (1, "")
    told = [line.partition(": ")[0] for line in result.out.splitlines() if not line.startswith("  → ")]
    of_each = ["✓ REST of north", "✓ event stream of north", "✗ REST of south", "✗ event stream of south"]
    assert told == ["✓ configuration", "✓ store", "✓ sinks", *of_each]


async def test_check_where_nothing_listens_ends_with_1(streamer: Shell) -> None:
    result = await streamer("check", "--api-url", NOWHERE)
    assert (result.status, result.err) == (1, "")
    told = [line for line in result.out.splitlines() if not line.startswith("  → ")]
    assert [line[0] for line in told] == ["✓", "✓", "✓", "✗", "✗"]
    assert "  → is the server running" in result.out


async def test_run_with_wrong_credentials_ends_with_3_a_sentence_and_a_hint(
    streamer: Shell, server: FakePrefect
) -> None:
    server.auth_string = PASSWORD
    arguments = ("run", "--api-url", server.api_url, "--listen", "127.0.0.1:0")
    result = await asyncio.wait_for(streamer(*arguments, STREAMER_AUTH_STRING="admin:wrong"), 5)
    assert (result.status, result.out) == (3, "")
    error, hint = [line for line in result.err.splitlines() if not line.startswith("{")]
    assert error.startswith("error: the server refused our credentials: 401")
    assert hint.startswith("hint: check PREFECT_API_KEY (Cloud) or PREFECT_API_AUTH_STRING")
    assert "admin:wrong" not in result.err


async def test_run_on_a_port_in_use_ends_with_2(streamer: Shell, server: FakePrefect) -> None:
    address = server.api_url.removeprefix("http://").removesuffix("/api")
    result = await streamer("run", "--api-url", server.api_url, "--listen", address)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith(f"error: cannot listen on {address}: Address already in use")
    assert "hint: another service may be there: choose another with --listen" in result.err


async def test_run_on_a_store_in_use_ends_with_1_and_who_has_it(streamer: Shell) -> None:
    store = streamer.write("streamer.db", b"")
    lock = StoreLock(store)
    lock.acquire(address="http://127.0.0.1:4280")
    result = await streamer("run", "--api-url", NOWHERE, "--listen", "127.0.0.1:0", "--store", f"sqlite:///{store}")
    lock.release()
    assert (result.status, result.out) == (1, "")
    holder = f"process {os.getpid()}, which listens on http://127.0.0.1:4280"
    assert result.err.startswith(f"error: the store is in use by {holder}\nhint: stop that service first")


async def test_run_ends_with_0_when_told_to_and_logs_json_without_secrets(streamer: Shell, server: FakePrefect) -> None:
    server.auth_string = PASSWORD
    arguments = ("run", "--api-url", server.api_url, "--listen", "127.0.0.1:0")
    async with streamer.running(*arguments, STREAMER_LOG_LEVEL="DEBUG", STREAMER_AUTH_STRING=PASSWORD) as process:
        await until(lambda: server.subscribers)
        process.send_signal(signal.SIGTERM)
        out, err = await process.communicate()
    assert (process.returncode, out) == (0, b"")
    assert {"started", "connected", "stopped"} <= {orjson.loads(line)["event"] for line in err.splitlines()}
    assert b"hunter2" not in err


@pytest.mark.usefixtures("interruptible")
async def test_tail_prints_the_records_of_the_running_service(streamer: Shell, server: FakePrefect) -> None:
    store = f"sqlite:///{streamer.folder}/streamer.db"
    service = Service(config.only(api_url=server.api_url, store=store, listen="127.0.0.1:0"))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(service.run())
        await until(lambda: server.subscribers)
        async with streamer.running("tail", "--json", "--state", "running", "--store", store) as process:
            assert process.stdout
            published: list[str] = []
            first = asyncio.create_task(process.stdout.readline())

            def printed() -> bool:
                """Publish until tail has started, since it shows only what comes after."""
                server.publish(an_event(after="PENDING"), event := an_event())
                published.append(event["id"])
                return first.done()

            await until(printed)
            shown = [orjson.loads(await first), orjson.loads(await process.stdout.readline())]
            process.send_signal(signal.SIGINT)
            assert b"Traceback" not in (await process.communicate())[1]
        service.stop()
    start = published.index(shown[0]["id"])
    assert [each["id"] for each in shown] == published[start : start + 2]
    assert {each["to"]["type"] for each in shown} == {"RUNNING"}
