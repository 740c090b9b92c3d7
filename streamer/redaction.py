"""What must not leave: secrets in free text, fields nobody outside needs, messages of any length.

A redacted record holds an event decoded anew from redacted JSON, so that no format and no sink can show more. Where
text stands is told by the table of shapes below: of a field in it, the value is kept or masked as the table says; what
it does not know is masked whole, keys included.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import from_json, to_json

from schemas import Alert, Event, Notice, PullStep, Transition, Verdict, decode
from schemas.event import FLOW_RUN_PREFIX
from streamer.model import Record

MASK = "***"
ELLIPSIS = "…"
TAG_PREFIX = "prefect.tag."

Json = dict[str, Any]
Shape = Mapping[str, "Shape | None"]
"""What to do with the values of an object: None keeps it, a shape goes into it and masks what that does not name."""

KEPT = None
TEXT: Shape = {}
_STATE: Shape = {"type": KEPT, "name": TEXT, "message": TEXT, "pause_reschedule": KEPT}
_LABELS: Shape = {
    "prefect.resource.id": KEPT,
    "prefect.resource.role": KEPT,
    "prefect.resource.name": TEXT,
    "prefect.run-count": KEPT,
    "prefect.state-message": TEXT,
    "prefect.state-name": TEXT,
    "prefect.state-timestamp": KEPT,
    "prefect.state-type": KEPT,
    "prefect.version": TEXT,
    "prefect.work-pool.type": TEXT,
}
_RULING: Shape = {
    "status": KEPT,
    "reason": KEPT,
    "since": KEPT,
    "last_heartbeat": KEPT,
    "interval": KEPT,
    "deadline": KEPT,
    "state": _STATE,
    "run_count": KEPT,
    "incident": KEPT,
    "action": KEPT,
    "result": TEXT,
}
_ANNOUNCEMENT: Shape = {
    "about": KEPT,
    "message": TEXT,
    "event": KEPT,
    "start": KEPT,
    "end": KEPT,
    "sink": TEXT,
    "records": KEPT,
}
_SITUATION: Shape = {
    "status": KEPT,
    "rule": KEPT,
    "severity": KEPT,
    "incident": KEPT,
    "number": KEPT,
    "group": KEPT,
    "reason": TEXT,
    "since": KEPT,
    "until": KEPT,
    "occurrences": KEPT,
    "runs": {"id": KEPT, "name": TEXT},
    "state": _STATE,
    "run_count": KEPT,
}
_PAYLOADS: Mapping[type[Event], Shape] = {
    Transition: {"intended": {"from": KEPT, "to": KEPT}, "initial_state": _STATE, "validated_state": _STATE},
    PullStep: {"step_name": TEXT},
    Verdict: {"verdict": _RULING},
    Notice: {"notice": _ANNOUNCEMENT},
    Alert: {"alert": _SITUATION},
}


class Droppable(StrEnum):
    """What can be left out of all events.

    `message`: those of states. `payload`: what pull steps carry but the step's name, and all that heartbeats and events
    of other kinds carry. `run_name`, `tags` and `creator` are those of the run.
    """

    CREATOR = "creator"
    MESSAGE = "message"
    PAYLOAD = "payload"
    RUN_NAME = "run_name"
    TAGS = "tags"


def _compiled(pattern: Any) -> Any:
    if not isinstance(pattern, str):
        return pattern
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from error


Regex = Annotated[re.Pattern[str], BeforeValidator(_compiled)]


class Redaction(BaseModel):
    """What is taken out of every record before any sink sees it.

    `mask`: regular expressions; what matches in free text becomes `***`. `drop`: fields to leave out. `max_message`:
    how many characters of a state's message are left. Ids, times, types, roles and names of events are never touched,
    but for a state's name in the name of its event. Numbers are no text.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    mask: tuple[Regex, ...] = ()
    drop: frozenset[Droppable] = frozenset()
    max_message: int | None = Field(None, gt=0)

    @property
    def is_off(self) -> bool:
        """Tell whether records are left as they are."""
        return not (self.mask or self.drop or self.max_message)

    def apply(self, record: Record) -> Record:
        """Return the record without what must not leave; the same one if there is nothing of it."""
        if self.is_off:
            return record
        event = self._redacted(record.event)
        return record if event is record.event else replace(record, event=event)

    def _redacted(self, event: Event) -> Event:
        tree = from_json(event.raw)
        self._drop(tree, event)
        if self.mask:
            tree = self._masked_event(tree, event)
        if self.max_message:
            _cut(tree, self.max_message)
        raw = to_json(tree, inf_nan_mode="null")
        return event if raw == event.raw else decode(raw, max_bytes=len(raw))

    def _drop(self, tree: Json, event: Event) -> None:
        if Droppable.MESSAGE in self.drop:
            for holder, key in _messages(tree):
                del holder[key]
        if Droppable.RUN_NAME in self.drop:
            _drop_run_names(tree)
        if Droppable.PAYLOAD in self.drop and not isinstance(event, Transition | Verdict | Notice | Alert):
            step = event.step if isinstance(event, PullStep) else None
            tree["payload"] = {} if step is None else {"step_name": step}
        roles = {role for field, role in _ROLES.items() if field in self.drop}
        tree["related"] = [each for each in tree.get("related", ()) if each["prefect.resource.role"] not in roles]

    def _masked_event(self, tree: Json, event: Event) -> Json:
        shape: Shape = {
            "id": KEPT,
            "occurred": KEPT,
            "received": KEPT,
            "follows": KEPT,
            "event": KEPT,
            "resource": _LABELS,
            "related": _LABELS,
            "payload": _PAYLOADS.get(type(event), TEXT),
        }
        masked: Json = self._masked(tree, shape)
        if isinstance(event, Transition):
            masked["event"] = self._after(FLOW_RUN_PREFIX, event.name)
        for each in masked["related"]:
            if each["prefect.resource.role"] == "tag":
                each["prefect.resource.id"] = self._after(TAG_PREFIX, each["prefect.resource.id"])
        return masked

    def _masked(self, value: Any, shape: Shape) -> Any:
        """Return the value with its texts masked; the shape of a list is that of each of its items."""
        if isinstance(value, str):
            return self._masked_text(value)
        if isinstance(value, list):
            return [self._masked(each, shape) for each in value]
        if isinstance(value, dict):
            return dict(self._masked_item(key, each, shape) for key, each in value.items())
        return value

    def _masked_item(self, key: str, value: Any, shape: Shape) -> tuple[str, Any]:
        if key not in shape:
            return self._masked_text(key), self._masked(value, TEXT)
        inner = shape[key]
        return key, value if inner is KEPT else self._masked(value, inner)

    def _after(self, prefix: str, text: str) -> str:
        """Return the text, masked but for its prefix."""
        rest = text.removeprefix(prefix)
        return text[: len(text) - len(rest)] + self._masked_text(rest)

    def masked(self, text: str) -> str:
        """Return a text that is no part of a record, such as a line of a log, masked."""
        return self._masked_text(text)

    def _masked_text(self, text: str) -> str:
        for pattern in self.mask:
            text = pattern.sub(_stars, text)
        return text


_ROLES = {Droppable.CREATOR: "creator", Droppable.TAGS: "tag"}


def _stars(match: re.Match[str]) -> str:
    return MASK if match[0] else ""


def _messages(tree: Json) -> Iterator[tuple[Json, str]]:
    """Yield where messages of states stand, each as an object and a key that it has."""
    payload = tree.get("payload")
    payload = payload if isinstance(payload, dict) else {}
    holders = [payload.get("verdict"), payload.get("alert")]
    states = [payload.get("initial_state"), payload.get("validated_state")]
    states += [each.get("state") for each in holders if isinstance(each, dict)]
    places = [(tree["resource"], "prefect.state-message"), *((state, "message") for state in states)]
    yield from ((holder, key) for holder, key in places if isinstance(holder, dict) and key in holder)


def _cut(tree: Json, length: int) -> None:
    for holder, key in _messages(tree):
        text = holder[key]
        if isinstance(text, str) and len(text) > length:
            holder[key] = text[: length - 1] + ELLIPSIS


def _drop_run_names(tree: Json) -> None:
    for resource in (tree["resource"], *tree.get("related", ())):
        if resource["prefect.resource.id"].startswith(FLOW_RUN_PREFIX):
            resource.pop("prefect.resource.name", None)
    for run in _concerned(tree):
        run["name"] = None


def _concerned(tree: Json) -> list[Json]:
    """Return the runs that an alert names."""
    payload = tree.get("payload")
    alert = payload.get("alert") if isinstance(payload, dict) else None
    runs = alert.get("runs") if isinstance(alert, dict) else None
    return [each for each in runs if isinstance(each, dict)] if isinstance(runs, list) else []
