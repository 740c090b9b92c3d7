"""As much of a store as verdicts need, in memory: it outlives the process, and folds as the real one does."""

from array import array
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import replace
from uuid import UUID

from schemas import Event, Heartbeat, Transition, Verdict, decode
from streamer.model import Appended, Record, RunState
from streamer.runs import about_run, advance
from streamer.store import beats

SOURCE = "default"


class Memory:
    """Each event once, in the order of its coming."""

    def __init__(self) -> None:
        self.verdicts: list[Verdict] = []
        self._ids: set[UUID] = set()
        self._runs: dict[UUID, RunState] = {}
        self._unfolded: dict[UUID, list[Event]] = defaultdict(list)
        self._newest: dict[UUID, Transition] = {}
        self._rings: dict[UUID, beats.Ring] = defaultdict(lambda: array("q"))

    def append(self, raw: bytes) -> Appended:
        """Keep an event if it is new."""
        event = decode(raw)
        if isinstance(event, Heartbeat):
            return Appended(beats=[event] if beats.enter(self._rings[event.run], beats.times_of(event)) else [])
        run = about_run(event)
        if run is None or event.id in self._ids:
            return Appended()
        self._ids.add(event.id)
        self._unfolded[run].append(event)
        if isinstance(event, Verdict):
            self.verdicts.append(event)
        if isinstance(event, Transition) and (run not in self._newest or event.occurred > self._newest[run].occurred):
            self._newest[run] = event
        return Appended(records=[Record(len(self._ids), SOURCE, event)])

    def unfinished(self) -> list[RunState]:
        """Return the runs that have not ended, as far as is known."""
        runs = [self._run(each) for each in [*self._runs, *(each for each in self._unfolded if each not in self._runs)]]
        return [run for run in runs if run.ended_at is None]

    async def runs(self, ids: Collection[UUID]) -> Mapping[UUID, RunState]:
        """Return what is known of these runs."""
        return {each: self._run(each) for each in ids if each in self._runs or each in self._unfolded}

    async def newest_event(self, run: UUID) -> Event | None:
        """Return the run's newest transition."""
        return self._newest.get(run)

    def _run(self, ident: UUID) -> RunState:
        run = self._runs.get(ident)
        for event in self._unfolded.pop(ident, ()):
            run = advance(run, SOURCE, event)
        assert run
        self._runs[ident] = run
        return replace(run, beats=beats.read(self._rings[ident].tobytes()))
