"""What runs leave behind to be looked at: Prefect's artifacts, by key."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from streamer.client import shown
from streamer.run_details import ArtifactView


@dataclass(frozen=True, slots=True, repr=False)
class Artifact:
    """An artifact; `data` is what it shows: text for markdown, rows for a table, a number for progress."""

    id: str
    key: str | None
    type: str | None
    description: str | None
    data: Any
    created_at: datetime
    updated_at: datetime
    task_run_id: str | None

    def __repr__(self) -> str:
        return f"Artifact({self.key or self.id!r}, type={self.type!r})"

    def _repr_html_(self) -> str:
        return shown.table(repr(self), {"created": self.created_at, "about": self.description, "data": self.data})


class Data(Mapping[str, Any]):
    """The newest artifact of each key, by key: `run.data.rows` or `run.data["rows"]` is its data."""

    def __init__(self, artifacts: Sequence[Artifact]) -> None:
        self._newest = {each.key: each.data for each in artifacts if each.key}

    def __getitem__(self, key: str) -> Any:
        return self._newest[key]

    def __getattr__(self, key: str) -> Any:
        for candidate in (key, key.replace("_", "-")):
            if not key.startswith("_") and candidate in self._newest:
                return self._newest[candidate]
        raise AttributeError(f"no artifact has the key {key!r}; there are {', '.join(self._newest) or 'none'}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._newest)

    def __len__(self) -> int:
        return len(self._newest)

    def __dir__(self) -> list[str]:
        return sorted(key.replace("-", "_") for key in self._newest)

    def _ipython_key_completions_(self) -> list[str]:
        return list(self._newest)

    def __repr__(self) -> str:
        return f"<Data: {', '.join(self._newest) or 'none'}>"

    def _repr_html_(self) -> str:
        return shown.table("data", self._newest)


def artifact(told: ArtifactView) -> Artifact:
    """Return an artifact as it is told, a table as its rows."""
    task_run = str(told.task_run_id) if told.task_run_id else None
    described = (str(told.id), told.key, told.type, told.description, _content(told))
    return Artifact(*described, told.created, told.updated, task_run)


def _content(told: ArtifactView) -> Any:
    if told.type == "table" and isinstance(told.data, str):
        with suppress(orjson.JSONDecodeError):
            return orjson.loads(told.data)
    return told.data
