"""Durations as people write them: `100ms`, `90s`, `15m`, `24h`, `7d`, `2w`."""

import re
from contextlib import suppress
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

_UNITS = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def duration(value: Any) -> Any:
    """Read a number with a unit; leave anything else to pydantic, which would take `true` for a second."""
    if isinstance(value, bool):
        raise ValueError("it is no duration such as 90s")  # noqa: TRY004 - pydantic takes only this one
    if isinstance(value, str) and (match := re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|[smhdw])", value.strip())):
        with suppress(OverflowError):
            return timedelta(**{_UNITS[match[2]]: float(match[1])})
    return value


Duration = Annotated[timedelta, BeforeValidator(duration), Field(ge=timedelta(0), le=timedelta(days=3650))]


def in_words(time: timedelta) -> str:
    """Return a duration in the largest unit that divides it, as it could have been written; seconds are whole."""
    seconds = int(time.total_seconds())
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds % length == 0 and (unit != "d" or seconds > length):
            return f"{seconds // length}{unit}"
    return f"{seconds}s"
