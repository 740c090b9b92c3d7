"""A Prefect server's tables of runs and their states, as its REST shows them; the truth about what happened."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

MOST = 200
"""The most runs that a request is given."""

Json = dict[str, Any]

Answer = Callable[[Request], Awaitable[Response]]

_RUN = "prefect.flow-run."
_ENDED = ("COMPLETED", "FAILED", "CANCELLED", "CRASHED")

_CRITERIA: Mapping[str, Callable[[Json, Json], bool]] = {
    "id": lambda run, wanted: run["id"] in wanted["any_"],
    "state": lambda run, wanted: run["state_type"] in wanted["type"]["any_"],
    "end_time": lambda run, wanted: bool(run["end_time"]) and _time(run["end_time"]) >= _time(wanted["after_"]),
}


class RunTables:
    """Runs, states, and the names of flows and deployments. What is not there, such as a deleted run, never was."""

    def __init__(self) -> None:
        self.runs: dict[str, Json] = {}
        self.names: dict[str, dict[str, str]] = {"flows": {}, "deployments": {}}
        self.parents: dict[str, str] = {}
        """The flow run that each task run belongs to."""
        self.due: dict[str, str] = {}
        """When scheduled runs should start."""
        self.inventory: dict[str, list[Json]] = {
            kind: [] for kind in ("flows", "deployments", "work_pools", "work_queues")
        }
        """What lists of these show that are not asked for by id."""
        self.logs: list[Json] = []
        self.artifacts: list[Json] = []
        self.task_runs: list[Json] = []
        """What is shown of a run, in this order; each has a `flow_run_id`."""
        self._states: dict[str, list[Json]] = {}

    def enter(self, event: Mapping[str, Any]) -> None:
        """Keep the state that an event announces, which has the event's id; an event without one changes nothing."""
        payload, resource = event.get("payload") or {}, event.get("resource") or {}
        if "validated_state" not in payload or not resource.get("prefect.resource.id", "").startswith(_RUN):
            return
        ident, state = resource["prefect.resource.id"].removeprefix(_RUN), _state(event)
        self._states.setdefault(ident, []).append(state)
        shown = max(self._states[ident], key=lambda each: _time(each["timestamp"]))
        self.runs[ident] = {
            **self._related(event.get("related", ())),
            "id": ident,
            "name": resource.get("prefect.resource.name"),
            "run_count": int(resource.get("prefect.run-count", 0)),
            "state": shown,
            **{f"state_{key}": shown[key] for key in ("id", "type", "name")},
            "end_time": shown["timestamp"] if shown["type"] in _ENDED else None,
            "expected_start_time": self.due.get(ident, self._states[ident][0]["timestamp"]),
        }

    def delete(self, run: str) -> None:
        """Delete a run and its states, of which no event tells."""
        del self.runs[run], self._states[run]

    def endpoints(self) -> list[tuple[str, str, Answer]]:
        """Return method, path and answer of each thing that can be asked."""
        return [
            ("GET", "/api/flow_run_states/", self._answer_states),
            ("POST", "/api/flow_runs/filter", self._answer_runs),
            ("POST", "/api/flows/filter", self._answer_names),
            ("POST", "/api/deployments/filter", self._answer_names),
            ("POST", "/api/work_pools/filter", self._answer_inventory),
            ("POST", "/api/work_queues/filter", self._answer_inventory),
            ("POST", "/api/task_runs/filter", self._answer_task_runs),
            ("POST", "/api/logs/filter", self._answer_logs),
            ("POST", "/api/artifacts/filter", self._answer_artifacts),
        ]

    async def _answer_states(self, request: Request) -> Response:
        """Answer with the states of a run, oldest first; with none if there is no such run."""
        states = self._states.get(request.query_params["flow_run_id"], ())
        return JSONResponse(sorted(states, key=lambda state: _time(state["timestamp"])))

    async def _answer_runs(self, request: Request) -> Response:
        """Answer with a page of the runs that are wanted; what cannot be asked is refused."""
        body = await request.json()
        wanted, offset, limit = body["flow_runs"], body.get("offset", 0), body.get("limit", MOST)
        if limit > MOST or not wanted.keys() <= _CRITERIA.keys():
            return Response(status_code=422)
        found = [run for run in self.runs.values() if all(_CRITERIA[key](run, wanted[key]) for key in wanted)]
        by = "end_time" if body["sort"].startswith("END_TIME") else "id"
        found.sort(key=lambda run: str(run[by]), reverse=body["sort"].endswith("DESC"))
        return JSONResponse(found[offset : offset + limit])

    async def _answer_names(self, request: Request) -> Response:
        """Answer with those of the flows, or deployments, that are wanted by id; or else with a page of all."""
        body = await request.json()
        if "limit" in body:
            return await self._answer_inventory(request)
        ((kind, wanted),) = body.items()
        names = self.names[kind]
        return JSONResponse([{"id": each, "name": names[each]} for each in wanted["id"]["any_"] if each in names])

    async def _answer_inventory(self, request: Request) -> Response:
        """Answer with a page of all there are."""
        body, kind = await request.json(), request.url.path.split("/")[-2]
        return JSONResponse(self.inventory[kind][body["offset"] : body["offset"] + body["limit"]])

    async def _answer_logs(self, request: Request) -> Response:
        """Answer with a page of the lines of some runs."""
        body = await request.json()
        lines = sorted(self.logs, key=lambda line: line["timestamp"], reverse=body.get("sort") == "TIMESTAMP_DESC")
        return _page_of(lines, body, body["logs"]["flow_run_id"]["any_"])

    async def _answer_artifacts(self, request: Request) -> Response:
        """Answer with a page of the artifacts of some runs."""
        body = await request.json()
        return _page_of(self.artifacts, body, body["artifacts"]["flow_run_id"]["any_"])

    async def _answer_task_runs(self, request: Request) -> Response:
        """Answer with a page of the task runs of some runs, or with the parents of those that are wanted by id."""
        body = await request.json()
        if "flow_runs" in body:
            return _page_of(self.task_runs, body, body["flow_runs"]["id"]["any_"])
        wanted = body["task_runs"]["id"]["any_"]
        return JSONResponse(
            [{"id": each, "flow_run_id": self.parents[each]} for each in wanted if each in self.parents]
        )

    def _related(self, related: Iterable[Mapping[str, str]]) -> Json:
        found: Json = {"flow_id": None, "deployment_id": None, "tags": []}
        for each in related:
            role = each["prefect.resource.role"]
            ident = each["prefect.resource.id"].removeprefix(f"prefect.{role}.")
            if role == "tag":
                found["tags"].append(ident)
            else:
                found["parent_task_run_id" if role == "task-run" else f"{role.replace('-', '_')}_id"] = ident
                found[f"{role.replace('-', '_')}_name"] = each.get("prefect.resource.name")
            if f"{role}s" in self.names:
                self.names[f"{role}s"][ident] = each["prefect.resource.name"]
        return found


def _page_of(all_there_are: Iterable[Json], body: Json, runs: Collection[str]) -> Response:
    offset, limit = body.get("offset", 0), body.get("limit", MOST)
    if not 0 <= limit <= MOST:
        return Response(status_code=422)
    return JSONResponse([each for each in all_there_are if each["flow_run_id"] in runs][offset : offset + limit])


def _state(event: Mapping[str, Any]) -> Json:
    state, resource = event["payload"]["validated_state"], event["resource"]
    return {
        "id": event["id"],
        "type": state["type"],
        "name": state["name"],
        "timestamp": event["occurred"],
        "message": resource.get("prefect.state-message") or None,
        "state_details": {"flow_run_id": resource["prefect.resource.id"].removeprefix(_RUN)},
    }


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
