"""Pure: the kinds of rules, each by when something goes wrong and when all is well again."""

from bisect import insort
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import takewhile
from typing import Annotated, Any, Literal, Self, get_args
from uuid import UUID

from pydantic import Field, field_validator, model_validator
from typing_extensions import override

from schemas import StateType, Transition, Verdict
from schemas.ours import VerdictStatus
from streamer.alerts.facts import Facts, Share, Sign, Waiting
from streamer.alerts.rule import (
    FAILURES,
    SUCCESS,
    Found,
    Rule,
    Span,
    StatelessRule,
    is_deletion,
    is_failure,
    is_success,
)
from streamer.durations import in_words
from streamer.model import Record, RunState
from streamer.routing import Criteria, Routing

SHARES = 30
"""Into so many stretches the time of a failure rate is cut."""


class OnTransition(Rule):
    """A run enters a state that `match` names, FAILED or CRASHED unless it names some, until one enters `resolve`."""

    in_order = True
    adjustable = Rule.adjustable | {"resolve"}

    on: Literal["transition"]
    match: Criteria = Criteria(states=FAILURES)
    resolve: Criteria = Criteria(states=(SUCCESS,))

    @field_validator("match")
    @classmethod
    def _names_states(cls, match: Criteria) -> Criteria:
        named = match.states or match.state_names or match.from_states
        return match if named else match.but(states=FAILURES)

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.resolve == Criteria(states=self.resolve.states) and set(self.resolve.states) <= set(self.match.states):
            raise ValueError("what fires cannot be what ends it: say with resolve which states do")
        return self

    @cached_property
    def _bad(self) -> Routing:
        return Routing(match=self.match, exclude=self.exclude)

    @override
    def take(self, facts: Facts, record: Record) -> Found:
        if isinstance(record.event, Transition):
            if self._bad.refusal(record) is None:
                return Found(facts, Sign.BAD)
            if self.resolve.unmet(record) is None:
                return Found(facts, Sign.GOOD)
        return Found(facts)

    @override
    def reason(self, facts: Facts, record: Record | None) -> str:
        assert record
        assert isinstance(record.event, Transition)
        return f"a run entered the state {record.event.after.name}"


class OnVerdict(StatelessRule):
    """A verdict stands of a run, until it recovers or moves on."""

    adjustable = Rule.adjustable | {"verdicts"}

    on: Literal["verdict"]
    verdicts: Annotated[tuple[VerdictStatus, ...], Field(min_length=1)] = (VerdictStatus.ZOMBIE,)

    @field_validator("verdicts")
    @classmethod
    def _stand(cls, verdicts: tuple[VerdictStatus, ...]) -> tuple[VerdictStatus, ...]:
        if {VerdictStatus.RECOVERED, VerdictStatus.ACTED} & set(verdicts):
            raise ValueError("recovered and acted say that something is over or done, not that it goes wrong")
        return verdicts

    @override
    def take(self, facts: Facts, record: Record) -> Found:
        event = record.event
        if isinstance(event, Verdict) and event.ruling.status in self.verdicts:
            judged = {**facts.overdue, event.run: Waiting(event.occurred, event.resource.name)}
            return Found(facts.model_copy(update={"overdue": judged}), Sign.BAD)
        run = event.run_id
        if run and run in facts.overdue and self._is_over(event, facts.overdue[run].since):
            return _well_again(facts, run)
        return Found(facts)

    @staticmethod
    def _is_over(event: Any, since: datetime) -> bool:
        if isinstance(event, Verdict):
            return event.ruling.status is VerdictStatus.RECOVERED
        return (isinstance(event, Transition) and event.occurred > since) or is_deletion(event)

    @override
    def reason(self, facts: Facts, record: Record | None) -> str:
        assert record
        assert isinstance(record.event, Verdict)
        ruling = record.event.ruling
        return f"a run is held to be {ruling.status}: {ruling.reason}"


class OnFailures(StatelessRule):
    """So many runs fail or crash, one after the other until one completes; or `within` a time, until it has passed."""

    in_order = True
    adjustable = Rule.adjustable | {"count"}

    on: Literal["failures"]
    count: Annotated[int, Field(ge=1, le=10_000)]
    within: Span | None = None

    @override
    def take(self, facts: Facts, record: Record) -> Found:
        if is_failure(record):
            times = list(facts.times)
            insort(times, record.event.occurred)
            facts = facts.model_copy(
                update={"failures": facts.failures + 1, "times": tuple(times[-self.count :]) if self.within else ()}
            )
            return Found(facts, Sign.BAD if self._are_too_many(facts) else Sign.NEITHER)
        if is_success(record) and self.within is None:
            return Found(facts.model_copy(update={"failures": 0}), Sign.GOOD)
        return Found(facts)

    def _are_too_many(self, facts: Facts) -> bool:
        if self.within is None:
            return facts.failures >= self.count
        return len(facts.times) == self.count and facts.times[-1] - facts.times[0] <= self.within

    @override
    def due(self, facts: Facts, *, firing: bool) -> datetime | None:
        return facts.times[0] + self.within if firing and self.within and facts.times else None

    @override
    def passed(self, facts: Facts, now: datetime, *, firing: bool) -> Found:
        over = self.due(facts, firing=firing)
        return Found(facts, Sign.GOOD, over) if over and over <= now else Found(facts)

    @override
    def reason(self, facts: Facts, record: Record | None) -> str:
        if self.within:
            return f"{self.count} runs failed within {in_words(self.within)}"
        return "a run failed" if facts.failures == 1 else f"{facts.failures} runs failed one after the other"


class OnFailureRate(StatelessRule):
    """So many per cent of the runs that ended `within` a time failed or crashed, of so many runs at the `least`."""

    adjustable = Rule.adjustable | {"percent", "least"}

    on: Literal["failure_rate"]
    percent: Annotated[float, Field(gt=0, le=100)]
    within: Span
    least: Annotated[int, Field(ge=1)] = 10

    @override
    def take(self, facts: Facts, record: Record) -> Found:
        event = record.event
        if not (isinstance(event, Transition) and event.is_finish):
            return Found(facts)
        failed = is_failure(record)
        counted = _counted(facts.shares, self._stretch(event.occurred), failed)
        shares = self._recent(counted, max(event.occurred, counted[-1].start))
        facts = facts.model_copy(update={"shares": shares})
        if not self._is_too_high(facts):
            return Found(facts, Sign.GOOD)
        return Found(facts, Sign.BAD if failed else Sign.NEITHER)

    @override
    def due(self, facts: Facts, *, firing: bool) -> datetime | None:
        return facts.shares[0].start + self._width + self.within if firing and facts.shares else None

    @override
    def passed(self, facts: Facts, now: datetime, *, firing: bool) -> Found:
        over = self.due(facts, firing=firing)
        if over is None or over > now:
            return Found(facts)
        facts = facts.model_copy(update={"shares": self._recent(facts.shares, now)})
        return Found(facts, Sign.NEITHER if self._is_too_high(facts) else Sign.GOOD, over)

    @override
    def reason(self, facts: Facts, record: Record | None) -> str:
        ended, failed = _sums(facts.shares)
        return f"{failed} of {ended} runs failed within {in_words(self.within)}, which is {failed / ended:.0%}"

    @property
    def _width(self) -> timedelta:
        return self.within / SHARES

    def _stretch(self, moment: datetime) -> datetime:
        beginning = datetime.fromtimestamp(0, UTC)
        return moment - (moment - beginning) % self._width

    def _recent(self, shares: Sequence[Share], now: datetime) -> tuple[Share, ...]:
        return tuple(each for each in shares if each.start + self._width + self.within > now)

    def _is_too_high(self, facts: Facts) -> bool:
        ended, failed = _sums(facts.shares)
        return ended >= self.least and failed * 100 >= self.percent * ended


class OnNoSuccess(StatelessRule):
    """No run has completed `within` a time, since the last one did or the first was seen, until one does.

    A group of which nothing is heard for as long as `forget` is given up.
    """

    adjustable = Rule.adjustable | {"within", "forget"}

    on: Literal["no_success"]
    within: Span
    forget: Span = timedelta(days=30)

    @model_validator(mode="after")
    def _ends_by_a_success(self) -> Self:
        if self.resolve_after:
            raise ValueError("resolve_after is for what occurs again and again; forget ends this without a success")
        return self

    @model_validator(mode="after")
    def _forgets_late(self) -> Self:
        if self.forget <= self.within:
            raise ValueError("forget must be longer than within")
        return self

    @override
    def take(self, facts: Facts, record: Record) -> Found:
        event = record.event
        if is_success(record) and (facts.success is None or event.occurred > facts.success):
            return Found(facts.model_copy(update={"success": event.occurred}), Sign.GOOD)
        if facts.success is None and isinstance(event, Transition):
            return Found(facts.model_copy(update={"success": event.occurred}))
        return Found(facts)

    @override
    def due(self, facts: Facts, *, firing: bool) -> datetime | None:
        return facts.success and facts.success + (self.forget if firing else self.within)

    @override
    def passed(self, facts: Facts, now: datetime, *, firing: bool) -> Found:
        due = self.due(facts, firing=firing)
        if due is None or due > now:
            return Found(facts)
        return Found(Facts(), Sign.GOOD, due) if firing else Found(facts, Sign.BAD, due)

    @override
    def reason(self, facts: Facts, record: Record | None) -> str:
        return f"no run has completed for {in_words(self.within)}"


class OnHeld(StatelessRule):
    """A run is in one of the `states` for `longer` than a time, until it leaves it."""

    adjustable = Rule.adjustable | {"longer"}

    on: Literal["held"]
    states: Annotated[tuple[StateType, ...], Field(min_length=1)]
    longer: Span

    @override
    def take(self, facts: Facts, record: Record) -> Found:
        event, run = record.event, record.event.run_id
        if run is None or not (isinstance(event, Transition) or is_deletion(event)):
            return Found(facts)
        if isinstance(event, Transition) and event.to_type in self.states:
            if run in facts.waiting or run in facts.overdue:
                return Found(facts)
            entered = Waiting(event.occurred, event.resource.name, event.id)
            return _with(facts, waiting=_queued(facts.waiting, run, entered))
        if run in facts.overdue:
            return _well_again(facts, run)
        return Found(self.without(facts, [run]))

    @override
    def due(self, facts: Facts, *, firing: bool) -> datetime | None:
        first = next(iter(facts.waiting.values()), None)
        return first and first.since + self.longer

    @override
    def passed(self, facts: Facts, now: datetime, *, firing: bool) -> Found:
        due = self.due(facts, firing=firing)
        if due is None or due > now:
            return Found(facts)
        first = next(iter(facts.waiting))
        found = _with(self.without(facts, [first]), overdue={**facts.overdue, first: facts.waiting[first]})
        return found._replace(sign=Sign.BAD, at=due, run=first)

    @override
    def suspects(self, facts: Facts, now: datetime) -> Collection[UUID]:
        late = takewhile(lambda each: each[1].since + self.longer <= now, facts.waiting.items())
        return [run for run, _ in late]

    @override
    def stands(self, run: RunState | None) -> bool:
        return run is not None and run.deleted_at is None and run.state_type in self.states

    @override
    def without(self, facts: Facts, runs: Collection[UUID]) -> Facts:
        known = [run for run in runs if run in facts.waiting]
        return facts.model_copy(update={"waiting": _but(facts.waiting, known)}) if known else facts

    @override
    def reason(self, facts: Facts, record: Record | None) -> str:
        return f"a run is {' or '.join(self.states)} for longer than {in_words(self.longer)}"


AnyRule = Annotated[
    OnTransition | OnVerdict | OnFailures | OnFailureRate | OnNoSuccess | OnHeld, Field(discriminator="on")
]
Rules = Mapping[str, Rule]
KINDS: Mapping[str, type[Rule]] = {
    get_args(each.model_fields["on"].annotation)[0]: each for each in get_args(get_args(AnyRule)[0])
}
"""The kinds of rules by what they say with `on`."""


def _with(facts: Facts, **changed: Any) -> Found:
    return Found(facts.model_copy(update=changed))


def _well_again(facts: Facts, run: UUID) -> Found:
    """Return the facts without a run that something was wrong with; all is well if it was the last."""
    left = _but(facts.overdue, [run])
    return _with(facts, overdue=left)._replace(sign=Sign.NEITHER if left else Sign.GOOD)


def _queued(waiting: Mapping[UUID, Waiting], run: UUID, entered: Waiting) -> Mapping[UUID, Waiting]:
    """Return those that wait with another one, first those that have waited longest."""
    queue = dict(waiting)
    newest = next(reversed(queue.values()), None)
    queue[run] = entered
    if newest is None or newest.since <= entered.since:
        return queue
    return dict(sorted(queue.items(), key=lambda each: each[1].since))


def _but(runs: Mapping[UUID, Waiting], gone: Collection[UUID]) -> Mapping[UUID, Waiting]:
    left = dict(runs)
    for run in gone:
        del left[run]
    return left


def _counted(shares: Sequence[Share], start: datetime, failed: bool) -> list[Share]:
    before = list(takewhile(lambda each: each.start < start, shares))
    after = list(shares[len(before) :])
    here = after.pop(0) if after and after[0].start == start else Share(start, 0, 0)
    return [*before, Share(start, here.ended + 1, here.failed + failed), *after]


def _sums(shares: Sequence[Share]) -> tuple[int, int]:
    return sum(each.ended for each in shares), sum(each.failed for each in shares)
