"""The log of a run, as a real Prefect server has it; and its page, where a link of ours leads."""

from datetime import UTC, datetime, timedelta
from logging import ERROR, INFO
from typing import Any
from uuid import UUID

import httpx
import pytest
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from streamer import config
from streamer.clock import ServerClock, SystemClock
from streamer.connecting import connection_of
from streamer.demo.server import PrefectServer
from streamer.instruments import Instruments
from streamer.source.api import Api
from streamer.source.logs import last_messages
from tests import patient
from tests.incidents import an_alert

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(300)]

NOW = datetime.now(UTC)


def post(http: httpx.Client, path: str, body: Any) -> httpx.Response:
    """Post as Prefect's own client does it: again, while the server's database is busy."""
    trying = Retrying(
        retry=retry_if_result(lambda answer: answer.status_code == 503), wait=wait_fixed(0.1), stop=stop_after_delay(30)
    )
    answer: httpx.Response = trying(http.post, path, json=body)
    return answer.raise_for_status()


def a_run_that_logs(server: PrefectServer, messages: int) -> UUID:
    with patient.client(base_url=server.api_url) as http:
        flow = post(http, "/flows/", {"name": "logs"}).json()["id"]
        body = {"flow_id": flow, "state": {"type": "RUNNING"}}
        run: str = post(http, "/flow_runs/", body).json()["id"]
        entries = [
            {
                "name": "prefect.flow_runs",
                "level": ERROR if number == messages - 1 else INFO,
                "message": f"message {number}",
                "timestamp": (NOW + timedelta(seconds=number)).isoformat(),
                "flow_run_id": run,
            }
            for number in range(messages)
        ]
        post(http, "/logs/", entries)
    return UUID(run)


async def test_the_last_messages_are_asked_for_and_come_oldest_first(prefect: PrefectServer) -> None:
    run = a_run_that_logs(prefect, 30)
    settings = config.only(api_url=prefect.api_url, proxy="none")
    async with Api(connection_of(settings), ServerClock(SystemClock()), Instruments()) as api:
        assert await last_messages(api, run, 2) == [
            f"{NOW + timedelta(seconds=28):%H:%M:%S} INFO message 28",
            f"{NOW + timedelta(seconds=29):%H:%M:%S} ERROR message 29",
        ]
        assert len(await last_messages(api, run, 200)) == 30


def test_the_link_is_the_one_that_prefect_makes() -> None:
    urls = pytest.importorskip("prefect.utilities.urls")
    link = config.only(api_url="http://127.0.0.1:4200/api").surroundings.link(an_alert())
    assert link == urls.url_for("flow-run", obj_id=an_alert().event.run_id, default_base_url="http://127.0.0.1:4200")
