"""Alerts on a real Prefect server: one message for each problem, and one when it is over, whatever is killed when."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest

from streamer.demo.server import PrefectServer
from streamer.testing import an_event, until
from tests import patient
from tests.running import RunningService
from tests.sinks.receiver import SILENCE, Receiver, Reply

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(400)]

SECONDS = 45
BATCH = 100


class Channel(Receiver):
    """What is told of alerts."""

    def told(self) -> list[dict[str, Any]]:
        """Return the alerts that came, in order."""
        return [orjson.loads(request.body) for request in self.requests]

    def statuses(self, name: str) -> list[str]:
        """Return what was said of a flow or a deployment by its name."""
        return [each["alert"]["status"] for each in self.told() if name in _names(each)]


def _names(record: dict[str, Any]) -> set[str]:
    return {record[party]["name"] for party in ("flow", "deployment") if record[party]}


@pytest.fixture
async def channel() -> AsyncIterator[Channel]:
    async with Channel() as channel:
        yield channel


@asynccontextmanager
async def alerting(folder: Path, server: PrefectServer, channel: Channel) -> AsyncIterator[RunningService]:
    """Run a service with a rule on failures, whose alerts go to the channel."""
    hook = {"type": "webhook", "url": channel.url, "match": {"kinds": ["alert"]}}
    rules = {"failed": {"on": "transition"}}
    service = RunningService(
        folder,
        server.api_url,
        STREAMER_SINKS=orjson.dumps({"hook": hook}).decode(),
        STREAMER_ALERTS=orjson.dumps(rules).decode(),
    )
    await asyncio.to_thread(service.start)
    try:
        yield service
    finally:
        assert service.process
        service.process.kill()
        await asyncio.to_thread(service.process.wait)


async def test_a_flow_that_fails_is_told_until_somebody_retries_it_and_one_that_retries_itself_is_not(
    prefect: PrefectServer, channel: Channel, folder: Path
) -> None:
    async with alerting(folder, prefect, channel), patient.async_client(base_url=prefect.api_url) as http:
        flows = prefect.spawn_flows("direct")
        await until(lambda: channel.statuses("report") == ["firing"], seconds=SECONDS)
        assert await asyncio.to_thread(flows.wait) == 0
        (told,) = channel.told()
        assert told["alert"]["state"]["name"] == "Failed"
        assert "no figures for the 3rd quarter" in told["alert"]["state"]["message"]
        for state in ("SCHEDULED", "PENDING", "RUNNING", "COMPLETED"):
            body = {"state": {"type": state}, "force": True}
            run = told["flow_run"]["id"]
            (await http.post(f"/flow_runs/{run}/set_state", json=body)).raise_for_status()
        await until(lambda: channel.statuses("report") == ["firing", "resolved"], seconds=SECONDS)
    assert channel.statuses("flaky") == []
    assert len(channel.told()) == 2, "something else was told"


async def test_500_failures_of_one_deployment_are_one_message_and_one_when_it_is_over(
    prefect: PrefectServer, channel: Channel, folder: Path
) -> None:
    async with alerting(folder, prefect, channel) as service:
        counted = partial(service.counted, "prefect_streamer_alerts_total", rule="failed")
        await _post(prefect, [_ended("FAILED", "burst") for _ in range(500)])
        await _post(prefect, [_ended("FAILED", name) for name in ("hourly", "daily", "weekly")])
        await until(lambda: counted(action="deduplicated") == 499, seconds=SECONDS)
        await _post(prefect, [_ended("COMPLETED", "burst")])
        await until(lambda: channel.statuses("burst") == ["firing", "resolved"], seconds=SECONDS)
        await until(lambda: len(channel.told()) == 5, seconds=SECONDS)
        assert [channel.statuses(name) for name in ("hourly", "daily", "weekly")] == [["firing"]] * 3
        resolved = next(each["alert"] for each in channel.told() if each["alert"]["status"] == "resolved")
        assert resolved["occurrences"] == 500
        assert [counted(action=action) for action in ("fired", "deduplicated", "resolved")] == [4, 499, 1]


async def test_a_kill_between_firing_and_sending_sends_exactly_one(
    prefect: PrefectServer, channel: Channel, folder: Path
) -> None:
    name = f"killed-{uuid4()}"
    channel.reply = lambda _: SILENCE
    async with alerting(folder, prefect, channel) as service:
        await _post(prefect, [_ended("FAILED", name)])
        await until(lambda: channel.statuses(name) == ["firing"], seconds=SECONDS)
        await asyncio.to_thread(service.stop, signal.SIGKILL)
        channel.requests.clear()
        channel.reply = lambda _: Reply()
        await asyncio.to_thread(service.start)
        await until(lambda: channel.statuses(name), seconds=SECONDS)
        await _post(prefect, [_ended("FAILED", name), _ended("COMPLETED", name)])
        await until(lambda: channel.statuses(name)[-1] == "resolved", seconds=SECONDS)
        assert channel.statuses(name) == ["firing", "resolved"]
        assert len({request.id for request in channel.requests}) == 2


def _ended(state: str, deployment: str) -> dict[str, Any]:
    """Return that a run of a deployment ended."""
    event = an_event(before="RUNNING", after=state)
    labels = {"prefect.resource.role": "deployment", "prefect.resource.name": deployment}
    event["related"].append({"prefect.resource.id": f"prefect.deployment.{deployment}", **labels})
    return event


async def _post(server: PrefectServer, events: list[dict[str, Any]]) -> None:
    async with patient.async_client() as http:
        for batch in _batches(events):
            (await http.post(f"{server.api_url}/events", json=batch)).raise_for_status()


def _batches(events: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    return (events[start : start + BATCH] for start in range(0, len(events), BATCH))
