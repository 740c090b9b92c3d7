"""Records written by a Jinja template of the operator's, in Jinja's sandbox.

A template has no access to files, other templates or the process, and cannot change the record. `range` ends at 100,000
items. What is not guarded: loops in loops, and strings multiplied without end, take as long and as much as they take.
"""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from schemas import to_json
from streamer.errors import Reject
from streamer.model import Record

_FAILURES = (
    TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What expressions of a template can raise, the names of time zones among them."""


_NO_MORE: Mapping[str, object] = MappingProxyType({})


class Template:
    """Render records; raise `ValueError` if the text is no template."""

    def __init__(self, text: str) -> None:
        try:
            parsed = _ENVIRONMENT.parse(text)
            self._template = _ENVIRONMENT.from_string(parsed)
        except TemplateSyntaxError as error:
            raise ValueError(f"the template is wrong in line {error.lineno}: {error.message}") from error
        if list(meta.find_referenced_templates(parsed)):  # None for one whose name is not known yet
            raise ValueError("a template cannot include, import or extend another")

    def render(self, record: Record, more: Mapping[str, object] = _NO_MORE) -> bytes | None:
        """Return what the template makes of the record, None if nothing but blanks; raise `Reject` if it fails.

        Each key of the record is a variable, and `record` is the whole of it; there may be `more`.
        """
        content = orjson.loads(to_json(record.seq, record.source, record.event))
        try:
            rendered = self._template.render({**content, **more}, record=content).encode()
        except _FAILURES as error:
            raise Reject(f"the template fails on this record: {type(error).__name__}: {error}") from error
        return rendered if rendered.strip() else None


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _time(value: str, layout: str = "%Y-%m-%d %H:%M:%S", zone: str = "UTC") -> str:
    return datetime.fromisoformat(value).astimezone(ZoneInfo(zone)).strftime(layout)


def _epoch(value: str) -> float:
    return datetime.fromisoformat(value).timestamp()


def _environment() -> ImmutableSandboxedEnvironment:
    made = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)  # what is written is not HTML
    made.globals.pop("lipsum")
    made.filters.update(tojson=_json, time=_time, epoch=_epoch)
    return made


_ENVIRONMENT = _environment()
