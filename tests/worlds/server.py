"""A Prefect server in a simulated world: its tables, its REST, and its event stream."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import chain
from typing import Any

import orjson

from schemas.event import FLOW_RUN_PREFIX
from streamer.testing.event_pages import page
from streamer.testing.run_tables import RunTables
from tests.frames import Json, related, transition
from tests.worlds.world import World

WRITTEN_LATE = 5.0
"""REST has an event after at most so many seconds."""


class Server:
    """What it knows is the truth that REST tells; what it is told while it is down, it is told when it is back."""

    def __init__(self, world: World) -> None:
        self.up = True
        self.tables = RunTables()
        self.back: list[Callable[[], None]] = []
        self.listener: Callable[[Json], None] = lambda _: None
        self._world = world
        self._answers_at = 0.0
        self._beats: dict[str, list[Json]] = defaultdict(list)
        self._written: list[tuple[datetime, Json]] = []
        self._transitions: list[tuple[datetime, Json]] = []

    def stop(self) -> None:
        """Go down: all websockets end, all requests fail."""
        self.up = False

    def start(self) -> None:
        """Come back, and be told what happened meanwhile by those who still can."""
        self.up = True
        self._answers_at = self._world.time + 8
        delays = sorted(self._world.random.uniform(0, 8) for _ in self.back)
        for seconds, tell in zip(delays, self.back, strict=True):
            self._world.after(seconds, tell)
        self.back = []

    def enter(self, run: str, flow: str, before: str | None, after: str, **how: Any) -> None:
        """Let a run enter a state now; called again when the server is back if it is down."""
        if not self.up:
            self.back.append(lambda: self._enter(run, flow, before, after, **how))
        elif self._world.time < self._answers_at:
            self._answers_at += 0.01
            self._world.at(self._answers_at, lambda: self._enter(run, flow, before, after, **how))
        else:
            self._enter(run, flow, before, after, **how)

    def _enter(self, run: str, flow: str, before: str | None, after: str, **how: Any) -> None:
        if not self.up:
            self.enter(run, flow, before, after, **how)
            return
        now = self._world.now()
        ours = [related("flow", f"prefect.flow.{flow}", name=flow)]
        self.take(transition(before, after, run=run, occurred=now, related=ours, **how))  # type: ignore[arg-type]

    def take(self, event: Json) -> None:
        """Receive an event: publish it at once, write it a little later."""
        event = {**event, "received": self._world.now().isoformat()}
        self.tables.enter(event)
        self._world.after(self._world.random.uniform(0, WRITTEN_LATE), lambda: self._write(event))
        self.listener(event)

    def events_since(self, moment: datetime, *, beats: bool) -> list[Json]:
        """Return what REST has that occurred since, oldest first; transitions only, or beats too."""
        found = [each for each in (self._written if beats else self._transitions) if each[0] >= moment]
        return [event for _, event in sorted(found, key=lambda each: each[0])]

    def answer(self, endpoint: str, body: Json) -> bytes:
        """Answer a request as REST does."""
        if endpoint == "/flow_runs/filter":
            wanted = body["flow_runs"]["id"]["any_"]
            return orjson.dumps([self.tables.runs[each] for each in wanted if each in self.tables.runs])
        assert endpoint == "/events/filter", endpoint
        about = (each.removeprefix(FLOW_RUN_PREFIX) for each in body["filter"]["resource"]["id"])
        beats = chain.from_iterable(self._beats[each] for each in about)
        return orjson.dumps(page(beats, body["filter"], offset=0, limit=body["limit"]))

    def beats_of(self, run: str) -> Iterator[str]:
        """Yield the beats of a run as a diary has them."""
        for beat in self._beats[run]:
            yield f"sent {beat['occurred']} received {beat['received']}"

    def _write(self, event: Json) -> None:
        entry = (datetime.fromisoformat(event["occurred"]), event)
        self._written.append(entry)
        if event["event"].endswith("heartbeat"):
            self._beats[event["resource"]["prefect.resource.id"].removeprefix(FLOW_RUN_PREFIX)].append(event)
        else:
            self._transitions.append(entry)
