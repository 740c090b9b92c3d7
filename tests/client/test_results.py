"""Results: read where that runs nothing, and else a sentence that says why not."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from streamer.client import NotFound
from streamer.client.results import result

ROWS = {"rows": [1]}


def described(path: Path, kind: str = "json") -> dict[str, Any]:
    return {"storage_key": str(path), "serializer": {"type": kind}}


@pytest.mark.parametrize("value", [ROWS, [1], None, {"metadata": {}, "result": "7"}])
def test_json_is_read(tmp_path: Path, value: Any) -> None:
    path = tmp_path / "result"
    path.write_bytes(orjson.dumps(value))
    assert result(described(path)) == value


def test_json_is_read_when_what_is_told_of_it_stands_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "result"
    path.write_bytes(orjson.dumps({"metadata": described(path), "result": orjson.dumps(ROWS).decode()}))
    assert result(described(path)) == ROWS


@pytest.mark.parametrize(
    ("kind", "content", "sentence"),
    [
        ("pickle", "gASVAA==", "kept as pickle, which is not read"),
        ("compressed/json", "eJw=", "kept as compressed/json, which is not read"),
        ("json", "{", "is not the result"),
        ("json", None, "is not to be had here"),
    ],
)
def test_what_is_not_read_says_why(tmp_path: Path, kind: str, content: str | None, sentence: str) -> None:
    path = tmp_path / "result"
    if content:
        path.write_text(content)
    with pytest.raises(NotFound, match=sentence):
        result(described(path, kind))


@pytest.mark.parametrize("data", [None, "text", {}, {"storage_key": ""}])
def test_what_was_not_kept_says_so(data: Any) -> None:
    with pytest.raises(NotFound, match="was not kept"):
        result(data)
