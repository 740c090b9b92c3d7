"""From a failure to the message: a run of a real Prefect server fails, and the webhook of an alert is received.

`occurred` is the server's; it is on this machine, so that both times are of one clock.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import orjson
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_fixed

from benchmarks.figure import Figure
from streamer.demo.server import PrefectServer
from streamer.testing import until
from tests.running import RunningService
from tests.sinks.receiver import Receiver, Reply, Request

RUNS = 60
WARM_UP = 10
EVERY_SECONDS = 0.2


async def measure() -> list[Figure]:
    """Return the median and the 99th percentile in milliseconds, at five failures a second."""
    with TemporaryDirectory() as folder, PrefectServer(Path(folder) / "prefect") as server:
        async with Receiver() as channel:
            service = _service(Path(folder), server, channel.url)
            await asyncio.to_thread(service.start)
            try:
                taken = await _each_failure(server, channel)
            finally:
                await asyncio.to_thread(service.stop)
    taken = taken[WARM_UP:]
    return [
        Figure("failure on a real server to alert received, median", median(taken) * 1e3, "ms", goal=1000),
        Figure("failure on a real server to alert received, p99", quantiles(taken, n=100)[98] * 1e3, "ms"),
    ]


def _service(folder: Path, server: PrefectServer, url: str) -> RunningService:
    hook = {"type": "webhook", "url": url, "match": {"kinds": ["alert"]}}
    rule = {"on": "transition", "group": "run"}
    return RunningService(
        folder,
        server.api_url,
        STREAMER_SINKS=orjson.dumps({"hook": hook}).decode(),
        STREAMER_ALERTS=orjson.dumps({"failed": rule}).decode(),
    )


async def _each_failure(server: PrefectServer, channel: Receiver) -> list[float]:
    arrived: dict[str, float] = {}
    channel.reply = _noting(arrived)
    occurred: dict[str, float] = {}
    async with httpx.AsyncClient(base_url=server.api_url, trust_env=False) as http:
        flow = await _posted(http, "/flows/", {"name": "failing"})
        for _ in range(RUNS):
            run, state = await _fail(http, flow["id"])
            occurred[run] = datetime.fromisoformat(state["timestamp"]).timestamp()
            await asyncio.sleep(EVERY_SECONDS)
    await until(lambda: arrived.keys() >= occurred.keys(), seconds=60)
    return [arrived[run] - moment for run, moment in occurred.items()]


async def _fail(http: httpx.AsyncClient, flow: str) -> tuple[str, Any]:
    body = {"flow_id": flow, "state": {"type": "RUNNING"}}
    run = (await _posted(http, "/flow_runs/", body))["id"]
    failed = {"state": {"type": "FAILED"}, "force": True}
    return run, (await _posted(http, f"/flow_runs/{run}/set_state", failed))["state"]


@retry(
    retry=retry_if_exception_type(httpx.HTTPStatusError), stop=stop_after_attempt(5), wait=wait_fixed(1), reraise=True
)
async def _posted(http: httpx.AsyncClient, path: str, body: dict[str, Any]) -> Any:
    """Return the answer; a server whose SQLite is busy answers 503, and is asked again."""
    return (await http.post(path, json=body)).raise_for_status().json()


def _noting(arrived: dict[str, float]) -> Callable[[Request], Reply]:
    def reply(request: Request) -> Reply:
        arrived.setdefault(orjson.loads(request.body)["flow_run"]["id"], time.time())
        return Reply()

    return reply
