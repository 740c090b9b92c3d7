"""Times and lengths of time as an operator reads them."""

from datetime import datetime

_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60))


def ago(moment: datetime | None, now: datetime) -> str:
    """Return how long ago a time was, in its largest unit; nothing for none."""
    if moment is None:
        return ""
    seconds = int((now - moment).total_seconds())
    for unit, size in _UNITS:
        if seconds >= 2 * size:
            return f"{seconds // size}{unit} ago"
    return f"{seconds}s ago"


def length(seconds: float | None) -> str:
    """Return a length of time in its one or two largest units: `1d 2h`, `5m 03s`, `4.2s`, `7ms`; nothing for none."""
    if seconds is None:
        return ""
    if round(seconds, 3) < 1:
        return f"{1000 * seconds:.0f}ms"
    if round(seconds, 1) < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m {rest:02}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02}m" if hours < 24 else f"{hours // 24}d {hours % 24}h"


def local(moment: datetime | None, *, digits: int = 3) -> str:
    """Return a time as the clocks here show it, with so many digits of its second's fraction; nothing for none."""
    if moment is None:
        return ""
    here = moment.astimezone()
    return f"{here:%Y-%m-%d %H:%M:%S}" + f".{here.microsecond:06}"[: digits + 1 if digits else 0]
