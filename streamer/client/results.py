"""What flows return, where Prefect keeps it in a form that can be read without running it: JSON in a file at hand."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from streamer.client.errors import NotFound

_HINT = 'persist_result=True and result_serializer="json" make a flow keep what can be read'


def result(described: Any) -> Any:
    """Return the result that a state's data describes; raise `NotFound` if it was not kept or cannot be read here.

    Values that Prefect's serializer wraps come as it wrote them. What is pickled is never read.
    """
    about = described if isinstance(described, Mapping) else {}
    if not (key := about.get("storage_key")):
        raise NotFound("the result was not kept", _HINT)
    kind = (about.get("serializer") or {}).get("type")
    if kind != "json":
        raise NotFound(f"the result is kept as {kind}, which is not read: that would run what it holds", _HINT)
    try:
        return _unwrapped(orjson.loads(Path(key).read_bytes()), key)
    except OSError as error:
        raise NotFound(f"the result is kept at {key}, which is not to be had here", "ask where the flow ran") from error
    except ValueError as error:
        raise NotFound(f"what is kept at {key} is not the result", _HINT) from error


def _unwrapped(content: Any, key: str) -> Any:
    """Return the content of a file without what Prefect tells beside it, unless it keeps that elsewhere."""
    match content:
        case {"metadata": {"storage_key": its_key}, "result": str(text)} if its_key == key:
            return orjson.loads(text)
    return content
