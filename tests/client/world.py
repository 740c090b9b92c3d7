"""A small world of runs: a service on a fake server, in a thread of its own, as a client finds them."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid5

from schemas.flow_run import HEARTBEAT_NAME
from streamer.client import Client
from streamer.testing import FakePrefect, an_event, until
from tests.place import Place

Answer = TypeVar("Answer")

SPACE = UUID("00000000-0000-4000-8000-00000000c11e")
START = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
BROKEN = "Flow run encountered an exception: ValueError: no rows"


def ident(name: str) -> str:
    return str(uuid5(SPACE, name))


def at(minute: float) -> datetime:
    return START + timedelta(minutes=minute)


@dataclass(frozen=True)
class Told:
    """A run: its states from a minute on, a second apart."""

    key: str
    name: str
    flow: str
    states: Sequence[str]
    minute: float
    flow_id: str = ""
    tags: Sequence[str] = ()
    deployment: str | None = None
    message: str = ""
    parent: str | None = None
    beats: Sequence[float] = ()

    @property
    def id(self) -> str:
        return ident(self.key)

    def events(self) -> list[dict[str, Any]]:
        ways = list(enumerate(pairwise([None, *self.states])))
        moves = [self._move(number, before, str(after)) for number, (before, after) in ways]
        return [*moves, *map(self._beat, self.beats)]

    def state_id(self, number: int) -> str:
        return ident(f"{self.key}-{number}")

    def _move(self, number: int, before: str | None, after: str) -> dict[str, Any]:
        moment, last = at(self.minute) + timedelta(seconds=number), number == len(self.states) - 1
        event = an_event(run=self.id, before=before, after=after, occurred=moment, related=self._related())
        event["id"], event["follows"] = self.state_id(number), self.state_id(number - 1) if number else None
        event["resource"]["prefect.resource.name"] = self.name
        event["payload"]["validated_state"]["message"] = self.message if last and self.message else None
        return event

    def _beat(self, minute: float) -> dict[str, Any]:
        resource = {"prefect.resource.id": f"prefect.flow-run.{self.id}", "prefect.resource.name": self.name}
        related = self._related()
        return an_event(
            run=self.id, occurred=at(minute), event=HEARTBEAT_NAME, resource=resource, payload={}, related=related
        )

    def _related(self) -> list[dict[str, str]]:
        roles = {"flow": (self.flow_id or ident(f"flow {self.flow}"), self.flow)}
        if self.deployment:
            roles["deployment"] = (ident(f"deployment {self.deployment}"), self.deployment)
        if self.parent:
            roles["task-run"] = (ident(self.parent), self.parent)
        return [
            *(_party(role, of, name) for role, (of, name) in roles.items()),
            *(_party("tag", tag, tag) for tag in self.tags),
        ]


def _party(role: str, of: str, name: str) -> dict[str, str]:
    return {
        "prefect.resource.id": f"prefect.{role}.{of}",
        "prefect.resource.role": role,
        "prefect.resource.name": name,
    }


WELL = ("SCHEDULED", "PENDING", "RUNNING", "COMPLETED")
FOX = Told("fox", "crimson-fox", "etl", WELL, 1, tags=("prod", "team:a"), deployment="nightly")
SUBFLOW = Told("sub", "2026/07", "load", WELL[1:], 1.5, parent="load-0", tags=("prod",))
OWL = Told("owl", "amber-owl", "etl", ("PENDING", "RUNNING", "FAILED"), 10, tags=("prod",), message=BROKEN)
TWIN = Told("twin 1", "twin", "etl", ("PENDING", "CRASHED"), 20, tags=("dev",))
OTHER_TWIN = Told("twin 2", "twin", "etl", ("PENDING", "CRASHED"), 30, tags=("prod", "[x]*"))
YAK = Told("yak", "slow-yak", "etl", ("PENDING", "RUNNING"), 40, tags=("dev",), beats=(41, 42), deployment="nightly")
HERE = Told("here", "one", "both", WELL, 41, flow_id=ident("both here"), tags=("x<y>",))
THERE = Told("there", "two", "both", WELL, 42, flow_id=ident("both there"), tags=("prod",))

RUNS = (FOX, SUBFLOW, OWL, TWIN, OTHER_TWIN, YAK, HERE, THERE)


def a_task_run(name: str, state: str, minute: float) -> dict[str, Any]:
    moment = at(minute).isoformat()
    return {
        "id": ident(name),
        "flow_run_id": FOX.id,
        "name": name,
        "task_key": name.rpartition("-")[0] + "-af3c",
        "dynamic_key": name.rpartition("-")[2],
        "tags": ["slow"] if name == "step-1" else [],
        "run_count": 1,
        "created": moment,
        "start_time": moment,
        "end_time": (at(minute) + timedelta(seconds=3)).isoformat() if state == "COMPLETED" else None,
        "state": {
            "id": ident(f"state of {name}"),
            "type": state,
            "name": state.capitalize(),
            "timestamp": moment,
            "message": None,
        },
    }


TASK_RUNS = [
    a_task_run("step-0", "COMPLETED", 1.1),
    a_task_run("step-1", "RUNNING", 1.2),
    a_task_run("load-0", "COMPLETED", 1.3),
]


def a_line(number: int, message: str, task_run: str | None) -> dict[str, Any]:
    return {
        "id": ident(f"line {number}"),
        "flow_run_id": FOX.id,
        "task_run_id": ident(task_run) if task_run else None,
        "name": "prefect.flow_runs",
        "level": 20 + 10 * number,
        "message": message,
        "timestamp": (at(1) + timedelta(seconds=number)).isoformat(),
    }


LINES = [a_line(0, "begun", None), a_line(1, "slow", "step-1"), a_line(2, "done", None)]


def an_artifact(number: int, key: str | None, kind: str, data: Any, task_run: str | None = None) -> dict[str, Any]:
    moment = (at(2) + timedelta(seconds=number)).isoformat()
    return {
        "id": ident(f"artifact {number}"),
        "key": key,
        "type": kind,
        "description": None,
        "data": data,
        "created": moment,
        "updated": moment,
        "flow_run_id": FOX.id,
        "task_run_id": ident(task_run) if task_run else None,
    }


ARTIFACTS = [
    an_artifact(0, "row-counts", "table", '[{"rows": 1}]'),
    an_artifact(1, "row-counts", "table", '[{"rows": 2}]', "step-0"),
    an_artifact(2, None, "markdown", "# nameless"),
]


@dataclass
class World:
    """Where it is to be found."""

    store: str
    service: str
    api_url: str
    server: FakePrefect

    def opened(self, place: str, **more: Any) -> Client:
        """Return a client of one of the two places; of the store, one that asks the server itself."""
        return Client(place, api_url=self.api_url if place == self.store else None, **more)


def soon(condition: Callable[[], Answer]) -> Answer:
    """Return the answer once it is one."""
    deadline = time.monotonic() + 30
    while not (answer := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.01)  # the pace of asking, not a wait for an effect
    return answer


@asynccontextmanager
async def a_world(folder: Path) -> AsyncIterator[World]:
    async with FakePrefect() as server:
        place = Place(folder, server)
        server.tables.task_runs += TASK_RUNS
        server.tables.logs += LINES
        server.tables.artifacts += ARTIFACTS
        server.tables.parents |= {each["id"]: FOX.id for each in TASK_RUNS}
        async with place.running() as service:
            told = [event for run in RUNS for event in run.events()]
            server.publish(*told)
            store, wanted = service.core.store, {UUID(run.id): run.states[-1] for run in RUNS}

            async def is_there() -> bool:
                known = await store.runs(wanted)
                shown = {ident: run.state_type for ident, run in known.items()}
                return shown == wanted and len(known[UUID(YAK.id)].beats) == len(YAK.beats)

            await until(is_there)
            yield World(place.settings["store"], await service.started(), server.api_url, server)
