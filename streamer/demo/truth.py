"""What the server itself says happened, read with its own page tokens: nothing of the code it is compared with."""

from typing import Any

import httpx

from schemas.event import FLOW_RUN_PREFIX
from schemas.flow_run import HEARTBEAT_NAME

WANTED = {
    "event": {"prefix": [FLOW_RUN_PREFIX], "exclude_name": [HEARTBEAT_NAME]},
    "occurred": {"since": "2020-01-01T00:00:00Z"},
    "order": "ASC",
}


class Truth:
    """A Prefect server's REST, asked plainly."""

    def __init__(self, api_url: str, *, auth: tuple[str, str] | None = None) -> None:
        self._http = httpx.Client(base_url=api_url, auth=auth, timeout=30, trust_env=False)

    def events(self) -> list[dict[str, Any]]:
        """Return all flow-run events but heartbeats."""
        page = self._post("/events/filter", {"filter": WANTED, "limit": 50})
        events: list[dict[str, Any]] = page["events"]
        while page["next_page"] and page["events"]:
            token = httpx.URL(page["next_page"]).params["page-token"]
            page = self._http.get("/events/filter/next", params={"page-token": token}).raise_for_status().json()
            events.extend(page["events"])
        return events

    def total(self) -> int:
        """Return how many such events there are."""
        total: int = self._post("/events/filter", {"filter": WANTED, "limit": 0})["total"]
        return total

    def runs(self) -> list[dict[str, Any]]:
        """Return the newest flow runs, at most 200."""
        runs: list[dict[str, Any]] = self._post("/flow_runs/filter", {"limit": 200, "sort": "START_TIME_DESC"})
        return runs

    def state_ids(self) -> set[str]:
        """Return the ids of all states of these runs: the ids that transitions should have."""
        ids = set()
        for run in self.runs():
            states = self._http.get("/flow_run_states/", params={"flow_run_id": run["id"]}).raise_for_status().json()
            ids |= {state["id"] for state in states}
        return ids

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        return self._http.post(path, json=body).raise_for_status().json()


def is_transition(event: dict[str, Any]) -> bool:
    """Tell whether one of the server's events is a change of state."""
    return "prefect.state-type" in event["resource"]
