"""Runs on a real Prefect server that do what a test says, by its REST: no process stands behind them."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from tests import patient
from tests.frames import heartbeat, related


class RealRuns:
    """`async with RealRuns(api_url) as runs:` makes runs of one flow and one deployment."""

    def __init__(self, api_url: str, *, flow: str = "etl") -> None:
        self._http = patient.async_client(base_url=api_url)
        self._flow_name = flow
        self.flow = self.deployment = ""

    async def __aenter__(self) -> "RealRuns":
        self.flow = (await self._post("/flows/", {"name": self._flow_name}))["id"]
        named = {"name": f"{self._flow_name}-nightly", "flow_id": self.flow}
        self.deployment = (await self._post("/deployments/", named))["id"]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def pending(self, name: str, *tags: str) -> str:
        """Make a run that is pending, and return its id."""
        wanted = {"name": name, "tags": tags, "state": {"type": "PENDING", "name": "Pending"}}
        run: str = (await self._post(f"/deployments/{self.deployment}/create_flow_run", wanted))["id"]
        return run

    async def running(self, name: str, *tags: str) -> str:
        """Make a run that is running, and return its id."""
        run = await self.pending(name, *tags)
        await self.enter(run, "RUNNING")
        return run

    async def enter(self, run: str, state: str, *, name: str | None = None, message: str | None = None) -> None:
        """Let a run come into a state."""
        told = {"type": state, "name": name or state.title(), "message": message}
        await self._post(f"/flow_runs/{run}/set_state", {"state": told, "force": True})

    async def beat(self, run: str) -> None:
        """Send a heartbeat, as the process of a run does."""
        flow = related("flow", f"prefect.flow.{self.flow}", name=self._flow_name)
        one = heartbeat(run, occurred=datetime.now(UTC).isoformat(), related=[flow], id=str(uuid4()))  # type: ignore[arg-type]
        (await self._http.post("/events", json=[one])).raise_for_status()

    async def say(self, run: str, message: str) -> None:
        """Write a line into the log of a run."""
        line = {"name": "prefect.flow_runs", "level": 20, "message": message, "flow_run_id": run}
        await self._http.post("/logs/", json=[{**line, "timestamp": datetime.now(UTC).isoformat()}])

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Post as Prefect's client does: again, while the server's database is locked."""
        while (answer := await self._http.post(path, json=body)).status_code == 503:  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.1)
        found: dict[str, Any] = answer.raise_for_status().json()
        return found
