"""The jsonl sink keeps the contract of a sink, in each of its shapes."""

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from schemas import decode, downstream
from streamer import sinks
from streamer.errors import ConfigError
from streamer.model import Record, Sink
from streamer.testing import an_event, check_sink


def records(number: int) -> list[Record]:
    return [Record(seq, "default", decode(orjson.dumps(an_event()))) for seq in range(1, number + 1)]


def made(spec: str) -> Sink:
    return sinks.build(*sinks.parse(spec))


def lines_in(folder: Path) -> list[bytes]:
    """Return the lines of all files in a folder, the full ones first, in the order of their names."""
    files = sorted(folder.iterdir(), key=lambda each: (each.name == "runs.jsonl", each.name))
    contents = [gzip.decompress(each.read_bytes()) if each.suffix == ".gz" else each.read_bytes() for each in files]
    return b"".join(contents).splitlines()


@pytest.mark.parametrize("query", ["", "?format=event", "?rotate=1", "?rotate=1B&gzip=true", "?rotate=1GB"])
async def test_it_keeps_the_contract(tmp_path: Path, query: str) -> None:
    async def read_back() -> Sequence[str]:
        return [orjson.loads(line)["id"] for line in lines_in(tmp_path)]

    await check_sink(lambda: made(f"jsonl://{tmp_path}/runs.jsonl{query}"), read_back)


async def test_a_line_is_the_record_as_it_is_handed_downstream(tmp_path: Path) -> None:
    (record,) = records(1)
    sink = made(f"jsonl://{tmp_path}/runs.jsonl")
    await sink.open()
    await sink.write([record])
    await sink.close()
    written = orjson.loads((tmp_path / "runs.jsonl").read_bytes())
    expected = orjson.dumps(downstream(record.seq, record.source, record.event), option=orjson.OPT_UTC_Z)
    assert written == orjson.loads(expected)
    assert written["occurred"].endswith("Z")


async def test_in_the_format_event_a_line_is_prefects_own_json(tmp_path: Path) -> None:
    (record,) = records(1)
    sink = made(f"jsonl://{tmp_path}/runs.jsonl?format=event")
    await sink.open()
    await sink.write([record])
    await sink.close()
    assert (tmp_path / "runs.jsonl").read_bytes() == record.event.raw + b"\n"


async def test_it_closes_though_it_never_opened(tmp_path: Path) -> None:
    await made(f"jsonl://{tmp_path}/runs.jsonl").close()
    assert lines_in(tmp_path) == []


async def test_what_stands_in_the_way_is_an_error_to_try_again_after(tmp_path: Path) -> None:
    (tmp_path / "runs.jsonl").mkdir()
    sink = made(f"jsonl://{tmp_path}/runs.jsonl")
    with pytest.raises(IsADirectoryError):
        await sink.open()
    (tmp_path / "runs.jsonl").rmdir()
    await sink.open()
    await sink.write(records(1))
    await sink.close()
    assert len((tmp_path / "runs.jsonl").read_bytes().splitlines()) == 1


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        ("jsonl:///var/log/runs.jsonl", {"path": "/var/log/runs.jsonl"}),
        ("jsonl:runs.jsonl", {"path": "runs.jsonl"}),
        ("jsonl:~/runs.jsonl", {"path": "~/runs.jsonl"}),
        ("jsonl:///a%20folder/runs.jsonl", {"path": "/a folder/runs.jsonl"}),
        ("jsonl:a.jsonl?rotate=100MB&gzip=true", {"path": "a.jsonl", "rotate": "100MB", "gzip": "true"}),
    ],
)
def test_a_spec_gives_the_path_and_in_its_query_the_options(spec: str, options: dict[str, Any]) -> None:
    assert sinks.parse(spec) == ("jsonl", options)


@pytest.mark.parametrize("spec", ["jsonl:", "jsonl://", "jsonl://runs.jsonl", "jsonl://var/log/runs.jsonl"])
def test_a_spec_that_names_no_file_is_refused(spec: str) -> None:
    with pytest.raises(ConfigError, match="names no file") as caught:
        sinks.parse(spec)
    assert caught.value.hint == "write jsonl:///absolute/path or jsonl:relative"


async def test_a_path_may_be_relative_or_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for spec in ("jsonl:here/runs.jsonl", "jsonl:~/runs.jsonl"):
        sink = made(spec)
        await sink.open()
        await sink.close()
    assert (tmp_path / "here/runs.jsonl").exists()
    assert (tmp_path / "home/runs.jsonl").exists()
