"""Pure: what a service has told so far, and the server-sent events that bring it up to date."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter

from schemas import StateType
from streamer.run_view import RunView
from streamer.web.activity import ActivityView
from streamer.web.live import LiveView
from streamer.web.operations import AlertView
from streamer.web.present import PresentRun, PresentView
from streamer.web.rows import Row
from streamer.web.sink_rates import SinkNow
from streamer.web.standing import StandingView

ROWS_KEPT = 1000


@dataclass(frozen=True, slots=True)
class _Rows:
    rows: list[Row]


@dataclass(frozen=True, slots=True)
class _Reset:
    now: datetime


LIVE: TypeAdapter[LiveView] = TypeAdapter(LiveView)
_ROWS: TypeAdapter[_Rows] = TypeAdapter(_Rows)
_RESET: TypeAdapter[_Reset] = TypeAdapter(_Reset)
_TOPICS: dict[str, TypeAdapter[Any]] = {
    "standing": TypeAdapter(StandingView),
    "runs": TypeAdapter(PresentView),
    "activity": TypeAdapter(ActivityView),
    "sinks": TypeAdapter(Sequence[SinkNow]),
    "alerts": TypeAdapter(Sequence[AlertView]),
}


@dataclass(frozen=True, slots=True)
class Message:
    """A server-sent event; not every one has an id."""

    event: str
    data: bytes
    id: str | None = None


class Messages:
    """Finds the messages in bytes, however these are cut; only a line feed ends a line, whatever names may hold."""

    def __init__(self) -> None:
        self._rest = b""

    def within(self, chunk: bytes) -> Iterator[Message]:
        """Yield the messages that have come to their end."""
        *blocks, self._rest = (self._rest + chunk).split(b"\n\n")
        for block in blocks:
            fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if b": " in line)
            if b"event" in fields:
                ident = fields.get(b"id")
                yield Message(fields[b"event"].decode(), fields.get(b"data", b""), ident.decode() if ident else None)


@dataclass(frozen=True, slots=True)
class Told:
    """What is known: by how much the server's clock is `ahead` of ours, and why nothing new is heard, if so.

    `more` are runs that were asked for since what `live` has of them is not all.
    """

    live: LiveView
    more: Sequence[PresentRun] = ()
    ahead: timedelta = timedelta()
    trouble: str = ""

    @property
    def under_way(self) -> int:
        """Return how many runs have begun, or are about to, and have not ended."""
        runs = self.live.runs
        return max(runs.total - runs.by_state.get(StateType.SCHEDULED, 0), len(runs.items))

    @property
    def runs(self) -> list[PresentRun]:
        """Return all runs that are known one by one."""
        known = {run.id for run in self.live.runs.items}
        return [*self.live.runs.items, *(run for run in self.more if run.id not in known)]

    def after(self, message: Message, now: datetime) -> "Told":
        """Return what is known after a message that came at this time; a kind that we do not know changes nothing."""
        if message.event == "reset":
            now_there = _RESET.validate_json(message.data).now
            return replace(self, live=replace(self.live, rows=[]), ahead=now_there - now)
        if message.event == "rows":
            rows = [*self.live.rows, *_ROWS.validate_json(message.data).rows]
            return replace(self, live=replace(self.live, rows=rows[-ROWS_KEPT:]))
        if topic := _TOPICS.get(message.event):
            return replace(self, live=replace(self.live, **{message.event: topic.validate_json(message.data)}))
        return self


def present(run: RunView) -> PresentRun:
    """Return a run of `/api/runs` as `/api/live` has it: of its heartbeats only the last is told."""
    return PresentRun(
        id=run.id,
        name=run.name,
        flow=run.flow,
        deployment=run.deployment,
        tags=run.tags,
        run_count=run.run_count,
        type=run.state.type,
        state=run.state.name,
        since=run.since,
        verdict=run.verdict,
        beats=[run.last_heartbeat] if run.last_heartbeat else [],
        interval=None,
    )
