"""The reader of the log that has the engine look at it, and puts what it concludes into the log."""

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter

import structlog

from schemas import Alert, Verdict
from schemas.ours import VerdictStatus
from streamer.alerts.engine import Action, Changes, Engine, Sees
from streamer.alerts.facts import Group, Key
from streamer.alerts.rule import Rule
from streamer.alerts.silences import Silence
from streamer.log import Log
from streamer.model import ALERTS_READER, Clock, Conclusions, Counter, Family, Progress, Put, Record

AT_ONCE = 50
TICK_SECONDS = 1.0
LATE = timedelta(seconds=5)
"""So long after a time we take it that all that occurred before it has come."""
AHEAD = timedelta(minutes=1)
"""So far clocks of others may be ahead of ours."""
STEPS = 50
"""So much is concluded from time before others have their turn."""
TIDY_SECONDS = 3600.0
SILENCES_KEPT = timedelta(days=7)
"""So long after its end a silence is kept, for what occurred before it but is heard of late."""

logger = structlog.get_logger(__name__)


class Alerting:
    """Alerts of one log. Nothing is concluded from time of a source that `sees` says something is missing of."""

    def __init__(
        self, engine: Engine, log: Log, put: Put, clock: Clock, *, sees: Sees, tick: float = TICK_SECONDS
    ) -> None:
        self.engine = engine
        self._log = log
        self._put = put
        self._clock = clock
        self._sees = sees
        self._tick = tick
        self._seq = 0
        self._tidied = float("-inf")
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()

    @classmethod
    async def open(cls, rules: Mapping[str, Rule], log: Log, put: Put, clock: Clock, *, sees: Sees) -> "Alerting":
        """Go on from where the store says that we were; the first time, from the head of the log."""
        groups = {Key(*key): Group.model_validate_json(body) for key, body in (await log.store.remembered()).items()}
        alerting = cls(Engine(rules, groups), log, put, clock, sees=sees)
        alerting.engine.forget_old(clock.now())
        await alerting._read_silences()
        if rules:
            alerting._seq = (await log.store.cursor(ALERTS_READER)).seq
        return alerting

    @property
    def is_needed(self) -> bool:
        """Tell whether there are rules, or something is to be said of what rules found that are no more."""
        return bool(self.engine.rules) or self.engine.has_changed

    async def silence(self) -> None:
        """Go by the silences that the store has now; what one held back that is gone is said."""
        await self._read_silences()
        self.engine.announce(self._clock.now())

    async def _read_silences(self) -> None:
        """Ask the store for its silences; those that ended long ago are dropped."""
        now, store = self._clock.now(), self._log.store
        silences = [Silence.model_validate_json(body) for body in (await store.silences()).values()]
        for each in silences:
            if each.ends + SILENCES_KEPT < now:
                await store.drop_silence(str(each.id))
        self.engine.silence(silences, now)

    async def change(self, rules: Mapping[str, Rule]) -> None:
        """Go by these rules from now on: those that are new look at what comes from now on."""
        async with self._turn:
            had_rules = bool(self.engine.rules)
            self.engine.change(rules, self._clock.now())
            if not (had_rules and rules):
                await self._begin_anew()
        self._changed.set()

    async def _begin_anew(self) -> None:
        """Let go of our place in the log; if there are rules, take one at its head."""
        await self._log.store.forget(ALERTS_READER)
        if self.engine.rules:
            self._seq = (await self._log.store.cursor(ALERTS_READER)).seq

    def firing(self) -> list[Record]:
        """Return what was said last of all that goes on, as records without a place in the log."""
        return [Record(0, source, alert) for source, alert in self.engine.announced()]

    async def run(self) -> None:
        """Read and conclude, for ever; while there are no rules, wait for some."""
        if not self.engine.rules:
            await self._begin_anew()
        while True:
            await self.look()
            await self._wait()

    async def _wait(self) -> None:
        """Return when there may be something to conclude."""
        if self.engine.rules:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._tick):
                    await self._log.wait(self._seq)
        else:
            await self._changed.wait()
        self._changed.clear()

    async def look(self) -> None:
        """Conclude what follows from the next records; from time, if there are none."""
        async with self._turn:
            if self.engine.rules:
                await self._read()
            if changes := self.engine.changes():
                await self._conclude(changes)

    async def _read(self) -> None:
        head = self._log.head
        records = await self._log.after(self._seq, AT_ONCE)
        now, overtaken = self._clock.now(), await self._overtaken(records)
        for record in records:
            if not self._log.is_history(record) and record.seq not in overtaken:
                self.engine.take(_as_of(now, record))
        self._seq = records[-1].seq if records else head
        if not records:
            await self._pass_time()

    async def _overtaken(self, records: Iterable[Record]) -> set[int]:
        """Return which are verdicts that do not stand: the run had moved on before they came, so nothing ends them."""
        judged = {
            each.seq: each.event.run for each in records if isinstance(each.event, Verdict) and _is_bad(each.event)
        }
        known = await self._log.store.runs(set(judged.values())) if judged else {}
        return {seq for seq, run in judged.items() if run in known and known[run].verdict is None}

    async def _pass_time(self) -> None:
        now = self._clock.now() - LATE
        await self._forget_gone(now)
        self.engine.catch_up(now, self._sees)
        while self.engine.pass_time(now, steps=STEPS, sees=self._sees):  # noqa: ASYNC110 - it gives way, and waits for nothing
            await asyncio.sleep(0)
        if self._clock.monotonic() - self._tidied > TIDY_SECONDS:
            self._tidied = self._clock.monotonic()
            self.engine.forget_old(now)
            await self._log.store.commit(ALERTS_READER, self._seq)

    async def _forget_gone(self, now: datetime) -> None:
        """Forget runs that are not what we took them for: what comes late may have misled us."""
        suspects = self.engine.suspects(now, self._sees)
        known = await self._log.store.runs({run for runs in suspects.values() for run in runs}) if suspects else {}
        for key, runs in suspects.items():
            rule = self.engine.rules[key.rule]
            if gone := [run for run in runs if not rule.stands(known.get(run))]:
                self.engine.forget(key, gone)

    async def _conclude(self, changes: Changes) -> None:
        reached = asyncio.Event()
        for conclusions in self._conclusions(changes, reached):
            await self._put(conclusions)
        await reached.wait()
        for source, alert in changes.alerts:
            told = alert.situation
            logger.info("alert", status=told.status, rule=told.rule, source=source, group=told.group, why=told.reason)

    def _conclusions(self, changes: Changes, reached: asyncio.Event) -> Iterator[Conclusions]:
        """Yield the alerts by source, in order; with the last goes how far we have come."""
        by_source = [(source, [alert for _, alert in some]) for source, some in groupby(changes.alerts, itemgetter(0))]
        last_source, last = by_source.pop() if by_source else (_any_source(changes), list[Alert]())
        for source, alerts in by_source:
            yield Conclusions(source, alerts, Progress(ALERTS_READER, 0), lambda: None)
        memory: dict[tuple[str, str, str], bytes | None] = {key: _body(group) for key, group in changes.groups.items()}
        raised = {counter_of(source, rule, action): by for (rule, source, action), by in changes.actions.items()}
        yield Conclusions(last_source, last, Progress(ALERTS_READER, self._seq, memory, raised), reached.set)


def _is_bad(verdict: Verdict) -> bool:
    return verdict.ruling.status not in (VerdictStatus.RECOVERED, VerdictStatus.ACTED)


def _as_of(now: datetime, record: Record) -> Record:
    """Return the record; what claims to come from the future, and would keep us from seeing what does, occurs now."""
    if record.event.occurred <= now + AHEAD:
        return record
    return replace(record, event=record.event.model_copy(update={"occurred": now}))


def counter_of(source: str, rule: str, action: Action) -> Counter:
    """Return what counts an action."""
    return Counter(Family.ALERTS, source, labels=(rule, action))


def _body(group: Group | None) -> bytes | None:
    return group.model_dump_json().encode() if group else None


def _any_source(changes: Changes) -> str:
    return next(iter(changes.groups)).source


def never_yet(rules: Iterable[str], sources: Collection[str]) -> list[Counter]:
    """Return the counters that are shown at 0 before anything was done."""
    return [counter_of(source, rule, action) for source in sources for rule in rules for action in Action]
