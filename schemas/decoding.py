"""Bytes in, a typed event out. `decode` raises nothing but `InvalidEvent`, whatever the bytes."""

from contextlib import suppress
from typing import Annotated, Any

from pydantic import Discriminator, Tag, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from schemas.alert import ALERT_PREFIX, Alert
from schemas.errors import InvalidEvent, Reason
from schemas.event import FLOW_RUN_PREFIX, Event, Kind
from schemas.flow_run import HEARTBEAT_NAME, PULL_STEP_NAMES, Heartbeat, Other, PullStep, Transition
from schemas.messages import EVENT_MESSAGE_START
from schemas.ours import NOTICE_PREFIX, VERDICT_PREFIX, Notice, Verdict

MAX_FRAME_BYTES = 4 * 1024 * 1024
"""Frames above this are refused unread; Prefect itself refuses events above 1.5 MB."""


def decode(frame: bytes | str, *, max_bytes: int = MAX_FRAME_BYTES) -> Event:
    """Validate a websocket message or a bare event, and return it typed, its JSON in `raw`.

    Raises `InvalidEvent` with reason `json`, `schema`, `forged` or `oversize`, and a detail that names the field.
    """
    data = frame.encode(errors="surrogatepass") if isinstance(frame, str) else frame
    _refuse_oversize(data, max_bytes)
    data = data.strip(b" \t\r\n")
    compact = data.startswith(EVENT_MESSAGE_START) and data.endswith(b"}")
    try:
        return _validate(data[len(EVENT_MESSAGE_START) : -1] if compact else data)
    except InvalidEvent:
        inner = _unwrap(data) or data
        _refuse_oversize(inner, max_bytes)
        return _validate(inner)


def _refuse_oversize(data: bytes, max_bytes: int) -> None:
    if len(data) > max_bytes:
        raise InvalidEvent(Reason.OVERSIZE, f"frame: {len(data)} bytes, more than {max_bytes}")


def _kind(value: Any) -> str:
    """Choose by content; whatever is no object goes to the envelope, which refuses it with the field's name."""
    if not isinstance(value, dict):
        return Kind.OTHER
    name, resource, payload = value.get("event"), value.get("resource"), value.get("payload")
    if not isinstance(name, str) or not name.startswith(FLOW_RUN_PREFIX):
        return _kind_of_ours(str(name))
    labelled = isinstance(resource, dict) and "prefect.state-type" in resource
    if labelled or (isinstance(payload, dict) and "validated_state" in payload):
        return Kind.TRANSITION
    if name == HEARTBEAT_NAME:
        return Kind.HEARTBEAT
    return Kind.PULL_STEP if name in PULL_STEP_NAMES else Kind.OTHER


def _kind_of_ours(name: str) -> str:
    if name.startswith(VERDICT_PREFIX):
        return Kind.VERDICT
    if name.startswith(ALERT_PREFIX):
        return Kind.ALERT
    return Kind.NOTICE if name.startswith(NOTICE_PREFIX) else Kind.OTHER


_TRANSITION = TypeAdapter(Transition)
_ADAPTER: TypeAdapter[Event] = TypeAdapter(
    Annotated[
        Annotated[Transition, Tag(Kind.TRANSITION)]
        | Annotated[Heartbeat, Tag(Kind.HEARTBEAT)]
        | Annotated[PullStep, Tag(Kind.PULL_STEP)]
        | Annotated[Verdict, Tag(Kind.VERDICT)]
        | Annotated[Notice, Tag(Kind.NOTICE)]
        | Annotated[Alert, Tag(Kind.ALERT)]
        | Annotated[Other, Tag(Kind.OTHER)],
        Discriminator(_kind),
    ]
)


def _validate(data: bytes) -> Event:
    event = _transition(data) or _any_kind(data)
    if b"NaN" in data or b"Infinity" in data:
        _refuse_constants(data)
    # A line break in valid JSON can only stand between tokens, so that a blank is as good; `raw` is one line.
    event.__dict__["raw"] = data.replace(b"\n", b" ").replace(b"\r", b" ")
    return event


def _transition(data: bytes) -> Event | None:
    """Return the event if it is a transition, as what looks so mostly is; to ask which kind it is costs half more."""
    if b'"prefect.state-type"' in data:
        with suppress(ValidationError):
            event = _TRANSITION.validator.validate_json(data)
            return event if event.name.startswith(FLOW_RUN_PREFIX) else None
    return None


def _any_kind(data: bytes) -> Event:
    try:
        return _ADAPTER.validate_json(data)
    except ValidationError as error:
        raise _refusal(error) from None


def _refuse_constants(data: bytes) -> None:
    """Refuse NaN and Infinity, which pydantic reads but which are no JSON: others could not read `raw`."""
    try:
        from_json(data, allow_inf_nan=False)
    except ValueError as error:
        raise InvalidEvent(Reason.JSON, str(error)) from None


def _unwrap(data: bytes) -> bytes | None:
    """Return the event of a websocket message whose JSON is not laid out as Prefect's server does it."""
    with suppress(ValueError):
        message = from_json(data)
        if isinstance(message, dict) and message.get("type") == "event" and isinstance(message.get("event"), dict):
            return to_json(message["event"])
    return None


def _refusal(error: ValidationError) -> InvalidEvent:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    field = ".".join(str(part) for part in first["loc"][1:])  # the first part is the kind
    detail = f"{field}: {first['msg']}" if field else first["msg"]
    if first["type"] == "json_invalid":
        return InvalidEvent(Reason.JSON, detail)
    if first["type"] == "forged" or (field == "resource.prefect.resource.id" and first["type"] != "missing"):
        return InvalidEvent(Reason.FORGED, detail)
    return InvalidEvent(Reason.SCHEMA, detail)
