"""Asking the server whether a suspicion is true: is the run still in that state, and has REST no newer heartbeat?"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import combinations
from uuid import UUID

import orjson

from schemas import Heartbeat, InvalidEvent, StateType, decode
from schemas.event import FLOW_RUN_PREFIX
from schemas.flow_run import HEARTBEAT_NAME
from schemas.messages import FAR_FUTURE
from streamer.lifesigns import TOLERANCE, LifeSigns
from streamer.model import Beat, Frame, Net, Put, Store
from streamer.protocol import PAGE_SIZE
from streamer.source.api import Api
from streamer.source.runs_api import Json, RunsApi
from streamer.source.settling import settle
from streamer.suspicion import SECOND, Check, Limits, Reason, Suspicion
from streamer.timestamps import from_micros, to_micros
from streamer.watch import Watch

_BY_BEATS = (Reason.HEARTBEAT_MISSING, Reason.NEVER_HEARTBEAT)
_BY_DUE_TIME = (Reason.RETRY, Reason.SCHEDULED)


SET_BACK_AT_MOST = 15 * 60 * SECOND
"""So far before the last known heartbeat newer ones are looked for: their times are by a clock that may be set."""


class Confirming:
    """The checks of one source; heartbeats that they find go the way of all events."""

    def __init__(self, api: Api, store: Store, watch: Watch, source: str) -> None:
        self._api = api
        self._clock = api.clock
        self._runs = RunsApi(api)
        self._store = store
        self._watch = watch
        self._source = source
        self._parents: dict[str, str] = {}

    async def check(self, suspicions: Sequence[Suspicion], put: Put) -> list[tuple[Suspicion, Check, Json | None]]:
        """Return what became of each suspicion, with the run as the server has it."""
        theirs = {UUID(run["id"]): run async for run in self._runs.with_ids({each.run for each in suspicions})}
        ours = await self._store.runs(theirs.keys())
        result: list[tuple[Suspicion, Check, Json | None]] = []
        for each in suspicions:
            run, known = theirs.get(each.run), ours.get(each.run)
            state = (run or {}).get("state") or {}
            if run and run.get("end_time") and state.get("type") in _TERMINAL:
                result.append((each, Check.TERMINAL, run))
            elif not run or not known or state.get("id") != str(known.state_id):
                result.append((each, Check.STATE_MOVED, run))
            else:
                result.append((each, Check.CONFIRMED, run))
        standing = [each for each, check, _ in result if check is Check.CONFIRMED]
        for each in standing:
            if each.reason in _BY_DUE_TIME and (due := _due(theirs[each.run])):
                self._watch.tracker.expect(each.run, to_micros(due))
        silent = [each for each in standing if each.reason in _BY_BEATS]
        await self._fetch_newer_beats(silent, put)
        await settle(self._source, put)
        alive = await self._alive_after_all([each for each in silent if self._is_due(each)], put)
        return [
            (each, self._confirmed(each, alive) if check is Check.CONFIRMED else check, run)
            for each, check, run in result
        ]

    async def still_stands(self, suspicion: Suspicion, put: Put) -> bool:
        """Tell whether a verdict of missing heartbeats, which is in the log, is still true; ask before acting on it."""
        ours = (await self._store.runs([suspicion.run])).get(suspicion.run)
        theirs = [run async for run in self._runs.with_ids([suspicion.run])]
        states = [(run.get("state") or {}).get("id") for run in theirs]
        if ours is None or states != [str(ours.state_id)]:
            return False
        await self._fetch_newer_beats([suspicion], put)
        await settle(self._source, put)
        signs = self._watch.tracker.get(suspicion.run)
        return signs is not None and signs.standing is not None and signs.standing.reason is suspicion.reason

    async def root(self, run: Json) -> UUID:
        """Return the run at the root of a tree of subflows; a run that is no subflow is its own."""
        ident = str(run["id"])
        task_run = run.get("parent_task_run_id")
        for _ in range(_DEEPEST):
            parent = await self._parent(task_run) if task_run else None
            if parent is None:
                break
            ident = parent
            task_run = next(
                iter([each.get("parent_task_run_id") async for each in self._runs.with_ids([UUID(parent)])]), None
            )
        return UUID(ident)

    def _confirmed(self, suspicion: Suspicion, alive: Collection[UUID]) -> Check:
        return Check.CONFIRMED if self._is_due(suspicion) and suspicion.run not in alive else Check.ALIVE

    def _is_due(self, suspicion: Suspicion) -> bool:
        return self._watch.tracker.is_still_due(suspicion, self._watch.now())

    async def _parent(self, task_run: str) -> str | None:
        """Return the flow run that a task run belongs to."""
        if task_run not in self._parents:
            body = {"task_runs": {"id": {"any_": [task_run]}}}
            for found in orjson.loads(await self._api.request("POST", "/task_runs/filter", json=body)):
                self._parents[task_run] = found["flow_run_id"]
        return self._parents.get(task_run)

    async def _fetch_newer_beats(self, suspicions: Iterable[Suspicion], put: Put) -> None:
        """Put the heartbeats that REST has from after the last that we know, of each run at least one if there are."""
        since = {each.run: each.anchor + 1 for each in suspicions}
        while since:
            some = dict(sorted(since.items(), key=lambda item: item[1])[:PAGE_SIZE])
            events = await self._beats(some.keys(), min(some.values()), order="DESC")
            await self._put(events, put)
            heard = {run for run in some if any(_is_about(event, run) for event in events)}
            done = heard if len(events) >= PAGE_SIZE and heard else some.keys()
            since = {run: moment for run, moment in since.items() if run not in done}

    async def _alive_after_all(self, suspicions: Iterable[Suspicion], put: Put) -> set[UUID]:
        """Return those of which all heartbeats of the last time together, as REST has them, say that they live.

        What we know of them came with gaps and in any order, and their senders' clocks may have been set meanwhile.
        """
        alive = set()
        waiting = sorted(suspicions, key=lambda each: each.anchor)
        for start in range(0, len(waiting), PAGE_SIZE):
            some = waiting[start : start + PAGE_SIZE]
            events = await self._all_beats([each.run for each in some], some[0].anchor - SET_BACK_AT_MOST)
            await self._put(events, put)
            await settle(self._source, put)
            beats = _beats_by_run(events)
            alive |= {each.run for each in some if self._lives(each, beats[each.run])}
            for each in some:
                self._remind(each.run, beats[each.run])
        return alive

    def _remind(self, run: UUID, beats: Iterable[Beat]) -> None:
        """Tell the watch of heartbeats that it passed over, such as those that came before the run was known."""
        signs = self._watch.tracker.get(run)
        if signs and not signs.beats:
            for beat in beats:
                self._watch.tracker.beat(run, beat.occurred, beat.received, self._watch.now())

    def _lives(self, suspicion: Suspicion, beats: Sequence[Beat]) -> bool:
        """Tell whether a run lives by these beats alone.

        Two that are as far from each other by both clocks came at once, whatever the sender's clock says.
        """
        known = self._watch.tracker.get(suspicion.run)
        if known is None:
            return False
        signs = LifeSigns(known.move._replace(at=known.since), known.limits)
        in_order = sorted(beats, key=lambda beat: beat.received)
        for beat in in_order:
            signs.beat(beat.occurred, beat.received)
        prompt = [
            later.received for earlier, later in combinations(in_order, 2) if _agree(earlier, later, known.limits)
        ]
        silence = known.limits.silence(max(signs.interval or 0, suspicion.interval or 0))
        return silence is None or max(signs.life, *prompt, 0) + silence > self._watch.now()

    async def _all_beats(self, runs: Collection[UUID], since: int) -> list[Json]:
        found: dict[str, Json] = {}
        while True:
            events = await self._beats(runs, since, order="ASC")
            found.update({event["id"]: event for event in events})
            newest = max((to_micros(datetime.fromisoformat(event["occurred"])) for event in events), default=since)
            if len(events) < PAGE_SIZE or newest == since:
                return list(found.values())
            since = newest

    async def _put(self, beats: Iterable[Json], put: Put) -> None:
        """Put heartbeats in the order in which the server received them, which is that of the live ones."""
        for event in sorted(beats, key=lambda beat: str(beat.get("received"))):
            await put(Frame(self._source, Net.SWEEP, orjson.dumps(event)))

    async def _beats(self, runs: Collection[UUID], since: int, *, order: str) -> list[Json]:
        occurred = {
            "since": from_micros(since).isoformat(),
            "until": (self._clock.now() + FAR_FUTURE).isoformat(),
        }
        ids = [f"{FLOW_RUN_PREFIX}{run}" for run in runs]
        wanted = {"event": {"name": [HEARTBEAT_NAME]}, "resource": {"id": ids}, "occurred": occurred, "order": order}
        return (await self._api.events({"filter": wanted, "limit": PAGE_SIZE})).events


_TERMINAL = frozenset(each.value for each in StateType if each.is_terminal)
_DEEPEST = 10


def _is_about(event: Json, run: UUID) -> bool:
    resource = event.get("resource")
    return isinstance(resource, dict) and resource.get("prefect.resource.id") == f"{FLOW_RUN_PREFIX}{run}"


def _beats_by_run(events: Iterable[Json]) -> Mapping[UUID, list[Beat]]:
    """Return when heartbeats were sent and received, in the order of the latter."""
    beats: dict[UUID, list[Beat]] = defaultdict(list)
    for event in events:
        with suppress(InvalidEvent):
            if isinstance(beat := decode(orjson.dumps(event)), Heartbeat) and beat.received:
                beats[beat.run].append(Beat(to_micros(beat.occurred), to_micros(beat.received)))
    for each in beats.values():
        each.sort(key=lambda beat: beat.received)
    return beats


def _agree(earlier: Beat, later: Beat, limits: Limits) -> bool:
    apart, apart_here = later.occurred - earlier.occurred, later.received - earlier.received
    return apart_here * 2 >= limits.least and abs(apart - apart_here) <= TOLERANCE


def _due(run: Json) -> datetime | None:
    """Return when a scheduled run should start."""
    details = (run.get("state") or {}).get("state_details") or {}
    text = details.get("scheduled_time") or run.get("next_scheduled_start_time") or run.get("expected_start_time")
    return datetime.fromisoformat(text) if text else None
