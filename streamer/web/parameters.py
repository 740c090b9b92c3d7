"""A question as the parameters of a request, and back: a list is repeated or separated by commas, as in CSV.

A value that has a comma, or begins with a quotation mark, is put in quotation marks, those in it doubled. Where yes or
no may be left open, `any` leaves it open.
"""

import csv
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar, get_origin

from pydantic import BaseModel, ValidationError

from streamer.web.problems import Refusal, refused_by

OPEN = "any"

_QUOTED = frozenset(',"\r\n')

Asked = TypeVar("Asked", bound=BaseModel)


class Parameters(Protocol):
    """The parameters of a query, each as often as it was given."""

    def keys(self) -> Any:
        """Return their names."""
        ...

    def getlist(self, key: Any) -> list[str]:
        """Return all values of one."""
        ...


def read(kind: type[Asked], query: Parameters, path: Mapping[str, Any]) -> Asked:
    """Return the question; what is wrong with it is a `Refusal`."""
    given = {name: _value(kind, name, query.getlist(name)) for name in query.keys() if name not in path}  # noqa: SIM118
    try:
        return kind.model_validate({**given, **path})
    except ValidationError as error:
        raise refused_by(error) from None


def written(question: BaseModel) -> list[tuple[str, str]]:
    """Return the parameters that are read as this question; what is as usual is left out."""
    told = question.model_dump(mode="json", exclude_defaults=True)
    return [(name, text) for name, value in told.items() for text in _texts(value)]


def is_list(kind: type[BaseModel], name: str) -> bool:
    """Tell whether a parameter may be given several times."""
    return name in kind.model_fields and get_origin(kind.model_fields[name].annotation) is tuple


def may_be_open(kind: type[BaseModel], name: str) -> bool:
    """Tell whether a parameter is yes, no or any."""
    return name in kind.model_fields and kind.model_fields[name].annotation == bool | None


def _value(kind: type[BaseModel], name: str, texts: Sequence[str]) -> Any:
    if is_list(kind, name):
        return [value for text in texts for value in _separated(name, text)]
    if len(texts) > 1:
        raise Refusal(400, f"{name}: it is given more than once", field=name)
    return None if may_be_open(kind, name) and texts[0] == OPEN else texts[0]


def _separated(name: str, text: str) -> list[str]:
    try:
        return next(csv.reader([text], strict=True)) or [""]
    except csv.Error:
        raise Refusal(400, f"{name}: it is no list: is a quotation mark missing?", field=name) from None


def _texts(value: Any) -> list[str]:
    if isinstance(value, list):
        return [_quoted(str(each)) for each in value]
    if isinstance(value, bool):
        return [str(value).lower()]
    return [OPEN if value is None else str(value)]


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if _QUOTED & set(text) else text
