"""What is asked for at a prompt, as a question about runs."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from schemas import StateType
from streamer.durations import Duration
from streamer.errors import ConfigError
from streamer.questions import RunQuery

Texts = str | UUID | Iterable[str | UUID]
Moment = datetime | timedelta | str

PLURALS = {
    "id": "ids",
    "name": "names",
    "flow": "flows",
    "deployment": "deployments",
    "work_pool": "work_pools",
    "work_queue": "work_queues",
    "tags": "tags",
    "any_tags": "any_tags",
    "verdict": "verdicts",
    "source": "sources",
    "task_run": "task_runs",
}
"""Criteria by what they are called here; each takes one text or several."""

AS_THEY_ARE = ("subflows", "deleted", "order", "oldest_first")

CRITERIA = (*PLURALS, "state", "since", "until", *AS_THEY_ARE)

_DURATION: TypeAdapter[timedelta] = TypeAdapter(Duration)


def run_query(**asked: Any) -> RunQuery:
    """Return the question; raise `ConfigError` for what cannot be asked."""
    given = {name: value for name, value in asked.items() if value is not None or name == "deleted"}
    if unknown := [name for name in given if name not in CRITERIA]:
        raise unknown_criterion(unknown[0], CRITERIA)
    fields: dict[str, Any] = {PLURALS[name]: _texts(given[name]) for name in PLURALS if name in given}
    fields |= {name: given[name] for name in AS_THEY_ARE if name in given}
    fields |= {name: moment(given[name]) for name in ("since", "until") if name in given}
    fields |= _states(given.get("state"))
    try:
        return RunQuery(**fields)
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(f"{'.'.join(map(str, first['loc']))} cannot be asked so: {first['msg']}") from None


def unknown_criterion(name: str, known: Iterable[str]) -> ConfigError:
    """Return the error that names the nearest criterion there is."""
    near = get_close_matches(name, known := sorted(known), 1)
    return ConfigError(
        f"runs have no {name!r} to go by", hint=f"is it {near[0]}?" if near else f"there are {', '.join(known)}"
    )


def moment(given: Moment, now: datetime | None = None) -> datetime:
    """Return a time that is given as such, or as how long ago it is; one without a zone is of this machine's."""
    if isinstance(given, datetime):
        return given.astimezone(UTC)
    try:
        return (now or datetime.now(UTC)) - _DURATION.validate_python(given)
    except ValidationError:
        pass
    try:
        return datetime.fromisoformat(str(given)).astimezone(UTC)
    except ValueError:
        raise ConfigError(f"{given} is no time", hint="give a datetime, or how long ago: 90m, 24h, 7d") from None


def duration(given: timedelta | str) -> timedelta:
    """Return a duration; raise `ConfigError` if it is none."""
    try:
        return _DURATION.validate_python(given)
    except ValidationError:
        raise ConfigError(f"{given} is no duration", hint="write it as 90m, 24h or 7d") from None


def _texts(given: Texts) -> tuple[str, ...]:
    return (str(given),) if isinstance(given, str | UUID) else tuple(map(str, given))


def _states(given: str | Iterable[str] | None) -> dict[str, tuple[str, ...]]:
    """Return types where all are such in whatever case, or else names, which are free text and may be globs."""
    if not given:
        return {}
    texts = _texts(given)
    types = tuple(text.upper() for text in texts if text.upper() in StateType.__members__)
    if len(types) == len(texts):
        return {"states": types}
    if not types:
        return {"state_names": texts}
    raise ConfigError(f"{', '.join(texts)} are types of states and names of states", hint="ask for one kind at a time")
