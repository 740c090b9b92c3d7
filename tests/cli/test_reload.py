"""SIGHUP on the process of `streamer run`: what `streamer.toml` has now, without a restart."""

import asyncio
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import orjson
import pytest

from streamer.demo.server import free_port
from streamer.sinks.lines_file import whole_lines
from streamer.testing import FakePrefect, an_event, until
from tests.cli.test_cli import Shell

SINK = '[sinks.{0}]\ntype = "jsonl"\npath = "{0}.jsonl"\n'
TAKEN = "prefect_streamer_config_last_reload_successful"
UP = 'prefect_streamer_sink_up{{sink="{}"}} 1.0'
BAD = (
    "[sinks.second",
    '[sinks.second]\ntype = "nowhere"\n',
    SINK.format("second") + "rotte = true\n",
    "lissten = 1\n" + SINK.format("second"),
)


class Service:
    """A running service, the server it reads, and its configuration."""

    def __init__(self, folder: Path, server: FakePrefect) -> None:
        self.process: Process | None = None
        self._folder = folder
        self._server = server
        self._address = f"127.0.0.1:{free_port()}"
        self.configure(SINK.format("first"))

    def configure(self, tables: str) -> None:
        top = f'api_url = "{self._server.api_url}"\nlisten = "{self._address}"\n'
        (self._folder / "streamer.toml").write_text(top + tables)

    def reload(self, tables: str) -> None:
        """Change the file, and say so."""
        assert self.process
        self.configure(tables)
        self.process.send_signal(signal.SIGHUP)

    async def is_ready(self) -> bool:
        assert self.process
        assert self.process.stderr
        assert self.process.returncode is None, (await self.process.stderr.read()).decode()
        try:
            return (await self._get("/readyz")).is_success
        except httpx.HTTPError:
            return False

    async def shows(self, sample: str) -> bool:
        return sample in (await self._get("/metrics")).text.splitlines()

    async def delivers_to(self, *sinks: str) -> None:
        """Let an event happen, and return when it is the newest that each of these sinks has."""
        self._server.publish(event := an_event())
        await until(lambda: all(self.received(sink)[-1:] == [event["id"]] for sink in sinks))

    def received(self, sink: str) -> list[str]:
        return [orjson.loads(line)["id"] for line in whole_lines(self._folder / f"{sink}.jsonl")]

    async def _get(self, path: str) -> httpx.Response:
        async with httpx.AsyncClient(trust_env=False) as http:
            return await http.get(f"http://{self._address}{path}")


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    async with FakePrefect() as server:
        service = Service(tmp_path, server)
        async with Shell(tmp_path).running("run") as service.process:
            await until(service.is_ready)
            yield service
            service.process.terminate()
            await asyncio.wait_for(service.process.communicate(), 10)
            assert service.process.returncode == 0


async def test_sinks_come_and_go_without_a_restart(service: Service) -> None:
    await service.delivers_to("first")
    service.reload(SINK.format("first") + SINK.format("second"))
    await until(lambda: service.shows(UP.format("second")))
    await service.delivers_to("first", "second")
    service.reload(SINK.format("second"))
    await until(lambda: _is_gone(service, "first"))
    await service.delivers_to("second")
    first, second = service.received("first"), service.received("second")
    assert (len(first), len(second)) == (2, 2)
    assert first[1] == second[0], "a sink that is new starts at the head, one that stays goes on"


async def test_a_bad_file_is_refused_and_the_sinks_before_go_on(service: Service) -> None:
    assert await service.shows(f"{TAKEN} 1.0")
    for bad in BAD:
        service.reload(bad)
        await until(lambda: service.shows(f"{TAKEN} 0.0"))
        await service.delivers_to("first")
        service.reload(SINK.format("first"))
        await until(lambda: service.shows(f"{TAKEN} 1.0"))
    assert len(service.received("first")) == len(BAD)


async def _is_gone(service: Service, sink: str) -> bool:
    return not await service.shows(UP.format(sink))
