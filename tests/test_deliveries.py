"""What a channel may ask about is only what it is given, and as it is given it."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from schemas import decode
from streamer.config import SinkSettings
from streamer.deliveries import Deliveries
from streamer.instruments import Instruments
from streamer.log import Log
from streamer.model import Net
from streamer.redaction import Redaction
from streamer.surroundings import Surroundings
from streamer.testing import until
from tests import frames
from tests.incidents import SINCE, an_alert
from tests.sinks.receiver import Receiver
from tests.stores import open_store

pytestmark = pytest.mark.either_store


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[Log]:
    store = open_store(tmp_path / "streamer.db")
    await store.open_source("default", identity="http://server/api", now=SINCE - timedelta(hours=1))
    yield await Log.open(store)
    await store.close()


def alerts_in(receiver: Receiver) -> list[dict[str, Any]]:
    return [alert for each in receiver.requests if each.body for alert in orjson.loads(each.body)]


def settings(receiver: Receiver, **more: Any) -> SinkSettings:
    return SinkSettings.model_validate({"type": "alertmanager", "url": receiver.url, "proxy": "none", **more})


async def test_what_fires_is_repeated_by_those_sinks_that_it_is_for_and_redacted(log: Log) -> None:
    ours, theirs = an_alert(tags=("owner:us",)), an_alert(tags=("owner:them",), group="flow:x")
    surroundings = Surroundings(firing=lambda: [ours, theirs])
    async with Receiver() as receiver:
        deliveries = Deliveries(log, Instruments(), surroundings, Redaction(mask=["sleepy-nightly"]))
        wanted = {"pager": settings(receiver, match={"tags_any": ["owner:us"]}, refresh="0.1s")}
        await deliveries.change(wanted)
        async with deliveries.delivering(timedelta(seconds=1)):
            await until(lambda: len(alerts_in(receiver)) > 2)
        await deliveries.close()
    assert {alert["labels"]["owner"] for alert in alerts_in(receiver)} == {"us"}
    assert {alert["labels"]["deployment"] for alert in alerts_in(receiver)} == {"***"}


async def test_a_channel_is_given_the_alerts_of_the_log_and_nothing_else(log: Log) -> None:
    run = frames.transition("RUNNING", "FAILED", occurred=SINCE)
    async with Receiver() as receiver:
        deliveries = Deliveries(log, Instruments(), Surroundings(), Redaction())
        await deliveries.change({"pager": settings(receiver)})
        async with deliveries.delivering(timedelta(seconds=5)):
            await log.append("default", [decode(orjson.dumps(run)), an_alert().event], net=Net.LIVE)
        await deliveries.close()
    assert [alert["labels"]["alertname"] for alert in alerts_in(receiver)] == ["failed"]
