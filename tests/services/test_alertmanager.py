"""The alertmanager sink against the real one: what fires is there until it is over, whatever becomes of the server."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from schemas import notices
from streamer import sinks
from streamer.errors import Reject, Retry
from streamer.model import Record, Sink
from streamer.surroundings import RunDetails, Surroundings
from streamer.testing import until
from tests.incidents import an_alert, its_end
from tests.services.alertmanagers import Alertmanager

pytestmark = pytest.mark.services

NOW = datetime.now(UTC)
BEGUN: dict[str, Any] = {"since": NOW - timedelta(minutes=1), "occurred": NOW}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Alertmanager]:
    with Alertmanager(tmp_path) as server:
        yield server


async def details(record: Record, most_lines: int) -> RunDetails:
    return RunDetails(timedelta(seconds=3), ("02:03:46 ERROR boom",)[:most_lines])


@asynccontextmanager
async def telling(
    *servers: Alertmanager, firing: Sequence[Record] = (), ui: str = "http://prefect.example", **options: Any
) -> AsyncIterator[Sink]:
    """Open a sink to a cluster, among alerts that fire."""
    surroundings = Surroundings(ui={"default": ui}, firing=lambda: firing, details=details)
    urls = [f"http://{each.address}" for each in servers]
    sink = sinks.build("alertmanager", {"urls": urls, "proxy": "none", **options}, surroundings=surroundings)
    await sink.open()
    try:
        yield sink
    finally:
        await sink.close()


async def the_alert(server: Alertmanager) -> dict[str, Any]:
    (found,) = await server.alerts()
    return found


async def is_there(server: Alertmanager, number: int = 1) -> bool:
    return len(await server.alerts()) == number


async def test_what_fires_is_active_with_its_labels_and_annotations(server: Alertmanager) -> None:
    record = an_alert(**BEGUN)
    async with telling(server, labels={"region": "eu", "severity": "ours wins"}) as sink:
        await sink.write([record])
    found = await the_alert(server)
    assert found["status"]["state"] in ("active", "unprocessed")
    assert found["labels"] == {
        "alertname": "failed",
        "severity": "critical",
        "source": "default",
        "group": "deployment:50ae0e78-c098-4b7e-bb27-67a780e0ff72",
        "flow": "sleepy",
        "deployment": "sleepy-nightly",
        "work_pool": "local-pool",
        "work_queue": "default",
        "owner": "data-team",
        "region": "eu",
    }
    assert found["annotations"]["summary"] == "[critical] sleepy / sleepy-nightly: a run ended in Failed"
    assert "took 3.0s" in found["annotations"]["description"]
    assert found["annotations"]["description"].endswith("02:03:46 ERROR boom")
    assert found["generatorURL"] == f"http://prefect.example/runs/flow-run/{record.event.run_id}"
    assert datetime.fromisoformat(found["startsAt"]) == BEGUN["since"].replace(
        microsecond=NOW.microsecond // 1000 * 1000
    )


async def test_what_is_over_is_gone(server: Alertmanager) -> None:
    async with telling(server) as sink:
        await sink.write([an_alert(**BEGUN)])
        assert await is_there(server)
        await sink.write([its_end(since=BEGUN["since"], after=timedelta(seconds=50))])
        await until(lambda: is_there(server, 0))


async def test_an_incident_that_began_in_another_work_pool_ends_as_it_began(server: Alertmanager) -> None:
    async with telling(server) as sink:
        await sink.write([an_alert(**BEGUN)])
        await sink.write([its_end(since=BEGUN["since"], after=timedelta(seconds=50), tags=("owner:somebody-else",))])
        await until(lambda: is_there(server, 0))


async def test_what_fires_is_told_again_to_one_that_has_forgotten(server: Alertmanager) -> None:
    record = an_alert(**BEGUN)
    async with telling(server, firing=[record], refresh="0.2s") as sink:
        await sink.write([record])
        before = await the_alert(server)
        await asyncio.to_thread(server.forget)
        await until(lambda: is_there(server))
    after = await the_alert(server)
    assert (after["labels"], after["annotations"]) == (before["labels"], before["annotations"])


async def test_what_fired_before_we_started_is_told_at_once(server: Alertmanager) -> None:
    async with telling(server, firing=[an_alert(**BEGUN)]):
        await until(lambda: is_there(server))


async def test_one_of_a_cluster_is_enough_and_the_other_learns_when_it_is_back(
    server: Alertmanager, tmp_path: Path
) -> None:
    record = an_alert(**BEGUN)
    with Alertmanager(tmp_path / "other") as other:
        async with telling(server, other, firing=[record], refresh="0.2s") as sink:
            await sink.write([record])
            assert await is_there(server)
            assert await is_there(other)
            await asyncio.to_thread(other.forget)
            other.broker.kill()
            await sink.write([record])
            await asyncio.to_thread(other.broker.start)
            await until(lambda: is_there(other))
            server.broker.kill()
            other.broker.kill()
            with pytest.raises(Retry, match=f"{server.address}|{other.address}"):
                await sink.write([record])


async def test_what_it_calls_bad_is_rejected(server: Alertmanager) -> None:
    async with telling(server, ui="no address") as sink:
        with pytest.raises(Reject, match="422"):
            await sink.write([an_alert(**BEGUN)])


async def test_one_that_is_down_cannot_be_opened(server: Alertmanager) -> None:
    server.broker.kill()
    with pytest.raises(Retry, match=server.address):
        async with telling(server):
            pass


async def test_a_trial_of_the_sink_is_an_alert_of_its_own(server: Alertmanager) -> None:
    async with telling(server) as sink:
        await sink.write([Record(1, "default", notices.test("default", "pager", uuid4(), occurred=NOW))])
    found = await the_alert(server)
    assert found["labels"] == {"alertname": "streamer.notice.test", "severity": "info", "source": "default"}
    assert found["annotations"]["description"].startswith("a test of the sink pager")
