"""Destinations, one file each, found through the entry points `streamer.sinks`: ours and anybody's alike.

An entry point names a class with two more things than a `Sink`: `Options`, a pydantic model of its settings, which
its constructor takes; and `options_from(url)`, which reads settings from a spec such as `jsonl:///path?gzip=true`.
One that is for some kinds of records only says which in `kinds`.
"""

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, ClassVar, Protocol
from urllib.parse import SplitResult, parse_qsl, urlsplit

from pydantic import BaseModel, ValidationError

from schemas import Kind
from streamer.errors import ConfigError
from streamer.model import Sink
from streamer.surroundings import Surroundings

_SECRET_WORDS = ("password", "secret", "token", "key")
_BEHAVIOUR = frozenset(
    {
        *("batch", "batch_size", "content_type", "format", "gzip", "max_age", "method", "rotate", "start", "template"),
        *("template_file", "timeout", "write_timeout"),
        *("application_name", "ca_file", "cert_file", "connect_timeout", "proxy", "sslmode", "url", "username"),
        *("logs", "refresh"),
    }
)
"""Options that say how a place is written to, not which."""


class SinkType(Protocol):
    """What an entry point of `streamer.sinks` loads."""

    Options: ClassVar[type[BaseModel]]

    def __call__(self, options: Any, /) -> Sink:
        """Return the sink with these options."""
        ...

    def options_from(self, url: SplitResult) -> Mapping[str, Any]:
        """Return what the parts of a spec's URL before the query say."""
        ...


def installed() -> list[str]:
    """Return the types of sink there are."""
    return sorted(entry_points(group="streamer.sinks").names)


def build(kind: str, options: Mapping[str, Any], *, surroundings: Surroundings | None = None) -> Sink:
    """Return a sink of this type; raise `ConfigError` that says what is wrong with its options.

    Options that want to know the `surroundings` find them in the validation's context.
    """
    sink_type = load(kind)
    try:
        return sink_type(sink_type.Options.model_validate(options, context={"surroundings": surroundings}))
    except ValidationError as error:
        known = ", ".join(sorted(sink_type.Options.model_fields))
        raise ConfigError(f"sink {kind}: {_first_of(error)}", hint=f"its options are: {known}") from error


def kinds_of(kind: str) -> tuple[Kind, ...]:
    """Return the kinds of records that sinks of this type are for, unless their `match` says which; none: for all."""
    return tuple(getattr(load(kind), "kinds", ()))


def parse(spec: str) -> tuple[str, dict[str, Any]]:
    """Return type and options of a sink spec, such as `jsonl:///var/log/runs.jsonl?rotate=100MB`."""
    url = urlsplit(spec)
    if not url.scheme:
        raise ConfigError(f"{spec!r} is no sink", hint="a sink is given as TYPE:…, such as stdout: or jsonl:runs.jsonl")
    return url.scheme, {**load(url.scheme).options_from(url), **dict(parse_qsl(url.query))}


def name_of(spec: str) -> str:
    """Return the spec without credentials and without behaviour: the name by which its cursor is found again."""
    place, _, query = spec.partition("?")
    netloc = urlsplit(place).netloc
    place = place.replace(netloc, netloc.rpartition("@")[2], 1)
    kept = "&".join(each for each in query.split("&") if _is_place(each.partition("=")[0]))
    return f"{place}?{kept}" if kept else place


def _is_place(option: str) -> bool:
    return option not in _BEHAVIOUR and not any(word in option.lower() for word in _SECRET_WORDS)


def load(kind: str) -> SinkType:
    """Return the class of a type of sink; raise `ConfigError` that names those there are."""
    found = next(iter(entry_points(group="streamer.sinks", name=kind)), None)
    if not found:
        raise ConfigError(f"there is no sink type {kind!r}", hint=f"there are: {', '.join(installed())}")
    try:
        sink_type: SinkType = found.load()
    except ModuleNotFoundError as error:
        hint = f"pip install '{_what_brings(found)}'"
        raise ConfigError(f"a sink of type {kind} needs {error.name}, which is not installed", hint) from error
    return sink_type


def _first_of(error: ValidationError) -> str:
    """Return what is wrong, and with which option, unless it is with all of them together."""
    first = error.errors()[0]
    option = ".".join(str(part) for part in first["loc"])
    said = first["msg"].removeprefix("Value error, ")
    return f"{option}: {said}" if option else said


def _what_brings(found: EntryPoint) -> str:
    """Return the distribution that has the sink, with its extra of the name of the sink's module if it has one."""
    assert found.dist  # as those of `entry_points` have
    name, module = found.dist.name, found.module.rpartition(".")[2]
    return f"{name}[{module}]" if module in (found.dist.metadata.get_all("Provides-Extra") or ()) else name
