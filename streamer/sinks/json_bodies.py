"""Bodies that have to be JSON, since they go into a column of that type, or into an array."""

from typing import Self

from pydantic import model_validator

from streamer.sinks.formats import Format, Formatted


def is_json(content_type: str) -> bool:
    """Tell whether a content type is JSON, or of something written in it."""
    essence = content_type.partition(";")[0].strip().lower()
    return essence == "application/json" or essence.endswith("+json")


def gives_json(options: Formatted) -> bool:
    """Tell whether the format writes JSON; a template does if its `content_type` says so."""
    return options.format is not Format.TEMPLATE or is_json(options.content_type or "")


class JsonOnly(Formatted):
    """Options of a sink that can take nothing but JSON."""

    @model_validator(mode="after")
    def _is_json(self) -> Self:
        if not gives_json(self):
            raise ValueError("this sink takes JSON only: give the template a JSON content_type")
        return self
