"""The whole catalogue of metrics to those who are told instead of asking: one file a kind of destination.

What a kind needs is an extra of the same name, imported when it is used.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, ClassVar, Protocol, cast

from pydantic import BaseModel, ValidationError

from streamer.errors import ConfigError
from streamer.push.pushing import Exporter

KINDS: Mapping[str, tuple[str, str]] = {
    "gcp": ("streamer.push.gcp", "GcpExporter"),
    "statsd": ("streamer.push.statsd", "StatsdExporter"),
    "otlp": ("streamer.push.otlp", "OtlpExporter"),
}
"""The module and the class of each kind."""


class ExporterType(Protocol):
    """The class of a kind: `Options` is a pydantic model of its settings, which its constructor takes."""

    Options: ClassVar[type[BaseModel]]

    def __call__(self, options: Any, /) -> Exporter:
        """Return the exporter with these options."""
        ...


def build(name: str, kind: str, options: Mapping[str, Any]) -> Exporter:
    """Return the exporter of `[push.NAME]`; raise `ConfigError` that says what is wrong with it."""
    exporter = load(kind)
    try:
        return exporter(exporter.Options.model_validate(options))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        known = ", ".join(sorted(exporter.Options.model_fields))
        raise ConfigError(f"push.{name}: {field}: {first['msg']}", hint=f"options of {kind} are: {known}") from None


def load(kind: str) -> ExporterType:
    """Return the class of a kind; raise `ConfigError` if there is none, or its extra is not installed."""
    if kind not in KINDS:
        raise ConfigError(f"there is no type of push {kind!r}", hint=f"there are: {', '.join(sorted(KINDS))}")
    module, name = KINDS[kind]
    try:
        return cast("ExporterType", getattr(import_module(module), name))
    except ModuleNotFoundError as error:
        hint = f"pip install 'prefect-streamer[{kind}]'"
        raise ConfigError(f"push of type {kind} needs {error.name}, which is not installed", hint) from error
