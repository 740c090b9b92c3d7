"""Where to start in the log, as people write it: `head`, `oldest`, `2h` (that long ago), or a time with its offset."""

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, TypeAdapter, ValidationError

from streamer.durations import Duration, duration
from streamer.errors import ConfigError
from streamer.model import OLDEST

_DURATION: TypeAdapter[timedelta] = TypeAdapter(Duration)
_FORMS = "head, oldest, a duration such as 2h (that long ago), or a time such as 2026-11-21T02:00:00Z"


def _read(value: Any) -> Any:
    if value in ("head", "oldest") or isinstance(value, timedelta):
        return value
    if isinstance(value, str):
        with suppress(ValidationError):
            return _DURATION.validate_python(duration(value), strict=True)
        with suppress(ValueError):
            value = datetime.fromisoformat(value)
    if isinstance(value, datetime) and value.tzinfo:
        return value
    raise ValueError(f"{str(value)!r} is no place in the log: write {_FORMS}")


Start = Annotated[Literal["head", "oldest"] | timedelta | datetime, BeforeValidator(_read)]
"""Where to start, as it was written."""


def since(start: Start, *, now: datetime) -> datetime | None:
    """Return since when records are wanted: `OLDEST` for all of them, None for none of those that are there."""
    if start == "head":
        return None
    if start == "oldest":
        return OLDEST
    return now - start if isinstance(start, timedelta) else start


def read_since(text: str, *, now: datetime) -> datetime | None:
    """Return the same for a start that somebody has typed."""
    try:
        return since(_read(text), now=now)
    except ValueError:
        raise ConfigError(f"{text!r} is no place in the log", hint=f"write {_FORMS}") from None
