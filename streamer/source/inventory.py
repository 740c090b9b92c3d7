"""Reading what a server has besides runs, now and then: off the scrape's path, and the last that was read is kept."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import structlog

from streamer.errors import SourceError
from streamer.health import SourceHealth
from streamer.inventory import Deployment, Inventory, Taken, WorkPool, WorkQueue
from streamer.source.api import Api
from streamer.source.runs_api import PAGE_SIZE, Json, objects

KINDS = ("flows", "deployments", "work_pools", "work_queues")

logger = structlog.get_logger(__name__)


class InventoryReader:
    """Tell `taken` what one source has, every so often."""

    def __init__(self, api: Api, health: SourceHealth, taken: Taken, *, every: timedelta) -> None:
        self._api = api
        self._health = health
        self._taken = taken
        self._every = every

    async def run(self) -> None:
        """Read, for ever: the first time at once, later spread over the interval, so as to be little felt."""
        pause = timedelta(0)
        while True:
            await self._health.present.wait()
            try:
                self._taken(self._health.name, await self.read(pause))
                pause = self._every / len(KINDS)
            except (SourceError, KeyError, TypeError, ValueError) as error:
                what = f"{type(error).__name__}: {error}"
                logger.warning("cannot read deployments and work pools", source=self._health.name, error=what)
                await asyncio.sleep(self._every.total_seconds())

    async def read(self, pause: timedelta = timedelta(0)) -> Inventory:
        """Return what there is now, with a pause before each question."""
        found: dict[str, list[Json]] = {}
        for kind in KINDS:
            await asyncio.sleep(pause.total_seconds())
            found[kind] = [each async for each in self._all(kind)]
        flows = {flow["id"]: flow["name"] for flow in found["flows"]}
        return Inventory(
            at=self._api.clock.now(),
            flows=list(flows.values()),
            deployments=[_deployment(each, flows) for each in found["deployments"]],
            work_pools=[_work_pool(each) for each in found["work_pools"]],
            work_queues=[_work_queue(each) for each in found["work_queues"]],
        )

    async def _all(self, kind: str) -> AsyncIterator[Json]:
        offset = 0
        while True:
            body = {"limit": PAGE_SIZE, "offset": offset}
            page = objects(await self._api.request("POST", f"/{kind}/filter", json=body))
            for each in page:
                yield each
            if len(page) < PAGE_SIZE:
                return
            offset += PAGE_SIZE


def _deployment(told: Json, flows: dict[str, str]) -> Deployment:
    return Deployment(
        name=told["name"],
        flow=flows.get(told["flow_id"], ""),
        work_pool=told.get("work_pool_name") or "",
        work_queue=told.get("work_queue_name") or "",
        status=told.get("status") or "",
        paused=bool(told.get("paused")),
        is_scheduled=any(each.get("active") for each in told.get("schedules") or ()),
        path=told.get("path") or "",
        tags=tuple(told.get("tags") or ()),
    )


def _work_pool(told: Json) -> WorkPool:
    return WorkPool(told["name"], told.get("type") or "", told.get("status") or "", bool(told.get("is_paused")))


def _work_queue(told: Json) -> WorkQueue:
    return WorkQueue(
        id=told["id"],
        name=told["name"],
        work_pool=told.get("work_pool_name") or "",
        status=told.get("status") or "",
        paused=bool(told.get("is_paused")),
        priority=int(told.get("priority") or 0),
        last_polled=_moment(told.get("last_polled")),
    )


def _moment(text: Any) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
