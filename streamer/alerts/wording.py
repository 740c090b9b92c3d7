"""Pure: a rule in words."""

from collections.abc import Collection, Iterator
from datetime import time

from streamer.alerts.conditions import (
    OnFailureRate,
    OnFailures,
    OnHeld,
    OnNoSuccess,
    OnTransition,
    OnVerdict,
)
from streamer.alerts.grouping import Grouping
from streamer.alerts.quiet import DAYS, Quiet
from streamer.alerts.rule import Rule
from streamer.durations import in_words
from streamer.routing import Criteria

_STATES = ("states", "state_names", "from_states")


def in_a_line(name: str, rule: Rule) -> str:
    """Return what a rule is about, what it tells apart, and when nobody is told, on one line."""
    return f"{name} ({rule.severity}): {'; '.join(_parts(rule))}"


def _parts(rule: Rule) -> Iterator[str]:
    yield _when(rule)
    if only := _criteria(rule.match, but=_STATES if isinstance(rule, OnTransition) else ()):
        yield f"only {only}"
    if rule.exclude:
        yield f"but not {_criteria(rule.exclude)}"
    yield "one alert for all" if rule.group is Grouping.ALL else f"one for each {rule.group.replace('_', ' ')}"
    if rule.repeat:
        yield f"said again every {in_words(rule.repeat)}"
    if rule.resolve_after:
        yield f"over after {in_words(rule.resolve_after)} without another"
    if rule.quiet:
        yield f"nothing new {' and '.join(map(_quiet, rule.quiet))} ({rule.timezone})"


def _when(rule: Rule) -> str:
    match rule:
        case OnTransition():
            return f"a run enters {_entered(rule.match)}, until one enters {_entered(rule.resolve)}"
        case OnVerdict():
            return f"a run is held to be {' or '.join(rule.verdicts)}"
        case OnFailures():
            what = "a run fails" if rule.count == 1 else f"{rule.count} runs fail"
            in_a_row = ", until one completes" if rule.count == 1 else " one after the other, until one completes"
            return what + (f" within {in_words(rule.within)}" if rule.within else in_a_row)
        case OnFailureRate():
            return f"{rule.percent:g} % of the runs, of {rule.least} at least, fail within {in_words(rule.within)}"
        case OnNoSuccess():
            return f"no run completes for {in_words(rule.within)}"
        case OnHeld():
            return f"a run is {' or '.join(rule.states)} for longer than {in_words(rule.longer)}"
    raise TypeError(f"{type(rule).__name__} has no words yet")


def _entered(criteria: Criteria) -> str:
    into = " or ".join(criteria.states) or "any state"
    named = f" called {' or '.join(criteria.state_names)}" if criteria.state_names else ""
    return into + named + (f" from {' or '.join(criteria.from_states)}" if criteria.from_states else "")


def _criteria(criteria: Criteria, *, but: Collection[str] = ()) -> str:
    asked = criteria.model_dump(mode="json", exclude_defaults=True, exclude=set(but))
    return ", ".join(
        f"{name} {' or '.join(values) if isinstance(values, list) else values}" for name, values in asked.items()
    )


def _quiet(quiet: Quiet) -> str:
    """Return a quiet time as it could have been written."""
    whole_days = quiet.start == quiet.end == time()
    hours = "" if whole_days and len(quiet.days) < len(DAYS) else f"{quiet.start:%H:%M}-{quiet.end:%H:%M}"
    return " ".join(filter(None, [_days(quiet.days), hours]))


def _days(days: Collection[int]) -> str:
    if len(days) == len(DAYS):
        return ""
    first = next(day for day in days if (day - 1) % 7 not in days)
    last = next(day for day in days if (day + 1) % 7 not in days)
    return DAYS[first] if first == last else f"{DAYS[first]}-{DAYS[last]}"
