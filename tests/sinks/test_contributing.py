"""The sink that CONTRIBUTING shows, installed as the package that it is there: one file and one line."""

import asyncio
import importlib
import re
import subprocess
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from streamer import sinks
from streamer.errors import Reject, Retry
from streamer.model import Sink
from streamer.testing import check_sink
from tests.frames import DATA
from tests.running import isolated
from tests.services.deliveries import opened, records
from tests.sinks.beanstalkd import Beanstalkd

CONTRIBUTING = Path(__file__).parents[2] / "CONTRIBUTING.md"
OFFLINE = ("--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--no-cache-dir")


def shown(language: str) -> str:
    """Return the one block of code in this language that the section on sinks has."""
    section = CONTRIBUTING.read_text().split("\n## Add a sink\n")[1].split("\n## ")[0]
    (block,) = re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)
    return str(block)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install with pip what CONTRIBUTING shows; return the folder it is in now."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("target")
    (source / "beanstalk_sink.py").write_text(shown("python"))
    (source / "pyproject.toml").write_text(shown("toml"))
    command = [sys.executable, "-m", "pip", "install", *OFFLINE, "--target", str(target), str(source)]
    done = subprocess.run(command, env=isolated(source), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return target


@pytest.fixture
def here(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have what was installed in this process too."""
    monkeypatch.syspath_prepend(installed)
    importlib.invalidate_caches()


@pytest.fixture
async def server() -> AsyncIterator[Beanstalkd]:
    async with Beanstalkd() as server:
        yield server


def sink_to(server: Beanstalkd) -> Sink:
    return sinks.build(*sinks.parse(server.spec))


async def test_a_replay_brings_it_what_it_brings_ours_in_the_same_order(
    installed: Path, server: Beanstalkd, tmp_path: Path
) -> None:
    command = ("replay", DATA / "direct-3.8.8.jsonl", "--sink", server.spec, "--sink", "jsonl:runs.jsonl")
    environment = {**isolated(tmp_path), "PYTHONPATH": str(installed)}
    streamer = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "streamer", *command, cwd=tmp_path, env=environment, stdout=PIPE, stderr=STDOUT
    )
    said, _ = await streamer.communicate()
    assert streamer.returncode == 0, said.decode()
    ours = (tmp_path / "runs.jsonl").read_bytes().splitlines()
    assert server.jobs == {"runs": ours}
    assert len(ours) == 31


@pytest.mark.usefixtures("here")
async def test_it_keeps_its_contract(server: Beanstalkd) -> None:
    await check_sink(lambda: sink_to(server), server.ids)


@pytest.mark.usefixtures("here")
async def test_it_has_the_formats_that_ours_have(server: Beanstalkd) -> None:
    kind, options = sinks.parse(f"{server.spec}?format=cloudevent")
    async with opened(sinks.build(kind, options)) as sink:
        await sink.write(records(1))
    (job,) = server.jobs["runs"]
    assert orjson.loads(job)["specversion"] == "1.0"


@pytest.mark.usefixtures("here")
async def test_what_is_never_taken_is_rejected() -> None:
    async with Beanstalkd(largest_job=100) as server, opened(sink_to(server)) as sink:
        with pytest.raises(Reject, match=r"beanstalkd takes no job of \d+ bytes"):
            await sink.write(records(1))


@pytest.mark.usefixtures("here")
async def test_what_is_not_taken_now_is_taken_when_it_comes_again(server: Beanstalkd) -> None:
    async with opened(sink_to(server)) as sink:
        server.trouble = b"DRAINING"
        with pytest.raises(Retry, match="beanstalkd answered DRAINING"):
            await sink.write(records(2))
        server.trouble = b""
        await sink.write(written := records(2))
    assert await server.ids() == [str(record.event.id) for record in written]
    assert server.connections == 2, "what failed once is not used again"


@pytest.mark.usefixtures("here")
async def test_it_finds_its_way_back_after_a_lost_connection(server: Beanstalkd) -> None:
    async with opened(sink_to(server)) as sink:
        await sink.write(records(1))
        server.hang_up()
        with pytest.raises((OSError, EOFError)):
            await sink.write(records(1))
        await sink.write(records(1))
    assert len(await server.ids()) == 2
