"""The `[liveness]` table: how long runs may be silent, and how long in a state, and what is done then."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import cached_property, lru_cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from streamer.durations import Duration, duration
from streamer.selection import Selection
from streamer.source.acting import Acting, Action
from streamer.suspicion import Limits, Move

Limit = Duration | Literal[False]
Positive = Annotated[Duration, Field(ge=timedelta(milliseconds=1))]

_MICROSECOND = timedelta(microseconds=1)


class LimitSettings(BaseModel):
    """What can be said for all runs, and otherwise for some; `false` switches a rule off."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    heartbeat_missing: bool | None = None
    factor: float | None = Field(None, ge=1)
    minimum: Positive | None = None
    slack: Duration | None = None
    interval: Positive | None = None
    least: Positive | None = None
    never_heartbeat: bool | None = None
    pending_too_long: Limit | None = None
    cancelling_too_long: Limit | None = None
    retry_overdue: Limit | None = None
    scheduled_late: Limit | None = None
    running_too_long: Limit | None = None


class OverrideSettings(LimitSettings, Selection):
    """Limits for the runs that these globs select; of several, later ones win."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LivenessSettings(LimitSettings):
    """Limits, and what is done about a zombie."""

    enabled: bool = True
    sla_tag: str = "sla"
    on_zombie: Action = Action.REPORT
    dry_run: bool = True
    emit: bool = False
    overrides: tuple[OverrideSettings, ...] = ()

    @property
    def acting(self) -> Acting:
        """Return what is done about a zombie."""
        return Acting(self.on_zombie, self.dry_run, self.emit)

    def limits_of(self, move: Move, names: Mapping[str, str]) -> Limits:
        """Return the limits for a run, as its newest transition tells of it."""
        selected = [place for place, each in enumerate(self.overrides) if _is_selected(each, move, names)]
        return self._limits(tuple(selected), _sla(self.sla_tag, move.tags))

    @cached_property
    def _limits(self) -> Callable[[tuple[int, ...], timedelta | None], Limits]:
        """Return what makes limits of the places of overrides, and remembers them: there are few, and runs are many."""
        return lru_cache(1024)(lambda places, sla: _limits([self, *(self.overrides[each] for each in places)], sla))


def _limits(layers: Sequence[LimitSettings], sla: timedelta | None) -> Limits:
    """Return what these say together, the later over the earlier."""
    said: dict[str, Any] = {}
    for layer in layers:
        said.update({name: value for name in _FIELDS if (value := getattr(layer, name)) is not None})
    if sla:
        said["running_too_long"] = sla
    if said.pop("heartbeat_missing", True) is False:
        said["factor"] = False
    return Limits(**{_FIELDS[name]: _plain(value) for name, value in said.items()})


_FIELDS = {
    "heartbeat_missing": "",
    "factor": "factor",
    "minimum": "minimum",
    "slack": "slack",
    "interval": "interval",
    "least": "least",
    "never_heartbeat": "never_heartbeat",
    "pending_too_long": "pending",
    "cancelling_too_long": "cancelling",
    "retry_overdue": "retry",
    "scheduled_late": "scheduled",
    "running_too_long": "running",
}
"""The settings, and what they are in `Limits`."""


def _plain(value: Any) -> Any:
    """Return a duration in microseconds; a rule that is off has None."""
    if value is False:
        return None
    return value // _MICROSECOND if isinstance(value, timedelta) else value


def _sla(name: str, tags: tuple[str, ...]) -> timedelta | None:
    """Return how long a run may take that has a tag such as `sla:30m`."""
    for tag in tags:
        if tag.startswith(f"{name}:") and isinstance(limit := duration(tag.removeprefix(f"{name}:")), timedelta):
            return limit
    return None


def _is_selected(override: Selection, move: Move, names: Mapping[str, str]) -> bool:
    flow, deployment, pool = ((names.get(each, ""), each) for each in (move.flow, move.deployment, move.work_pool))
    return override.selects(flow, deployment, pool, move.tags)
