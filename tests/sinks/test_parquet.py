"""The parquet sink, read back with SQL: each record once, whatever was killed, merged or repeated."""

import asyncio
import random
import resource
import shutil
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import orjson
import pytest

from schemas import decode
from streamer import sinks
from streamer.errors import ConfigError, Retry
from streamer.model import Record, Sink
from streamer.sinks.parquet_files import Part
from streamer.sinks.parquet_folder import MERGED
from streamer.sinks.rows import Row
from streamer.testing import an_event, check_sink

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def made(folder: Path, query: str = "") -> Sink:
    return sinks.build(*sinks.parse(f"parquet://{folder}{query}"))


@asynccontextmanager
async def opened(folder: Path, query: str = "") -> AsyncIterator[Sink]:
    sink = made(folder, query)
    await sink.open()
    try:
        yield sink
    finally:
        await sink.close()


def records(number: int, *, start: int = 1, occurred: datetime = NOON, **changes: Any) -> list[Record]:
    """Return so many records; the same `seq` has the same id, so that other processes know them."""
    return [
        Record(seq, "default", decode(orjson.dumps(an_event(occurred=occurred, id=str(UUID(int=seq)), **changes))))
        for seq in range(start, start + number)
    ]


def ask(folder: Path, question: str) -> list[tuple[Any, ...]]:
    """Return what an analyst gets; `FILES` stands for all files."""
    files = f"read_parquet('{folder}/**/*.parquet', hive_partitioning=true)"
    with duckdb.connect(":memory:") as database:
        return database.execute(question.replace("FILES", files)).fetchall()


def seqs(folder: Path) -> list[int]:
    return [seq for (seq,) in ask(folder, "SELECT seq FROM FILES ORDER BY seq")]


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("query", ["", "?format=event", "?format=template&template=a%20line"])
async def test_it_keeps_the_contract(tmp_path: Path, query: str) -> None:
    async def read_back() -> Sequence[str]:
        return [str(ident) for (ident,) in ask(tmp_path, "SELECT id FROM FILES ORDER BY seq")]

    await check_sink(lambda: made(tmp_path, query), read_back)


async def test_a_day_is_a_folder_by_universal_time(tmp_path: Path) -> None:
    late = datetime(2026, 11, 21, 23, 30, tzinfo=timezone(-timedelta(hours=1)))
    async with opened(tmp_path) as sink:
        await sink.write([*records(2), *records(1, start=3, occurred=late)])
    assert [path.parent.name for path in files(tmp_path)] == ["day=2026-11-21", "day=2026-11-22"]
    assert [path.name[:25] for path in files(tmp_path)] == ["000000000001-000000000002", "000000000003-000000000003"]
    found = ask(tmp_path, "SELECT CAST(day AS VARCHAR), count(*) FROM FILES GROUP BY ALL ORDER BY ALL")
    assert found == [("2026-11-21", 2), ("2026-11-22", 1)]


async def test_a_row_has_what_is_asked_for_most_in_columns_and_all_in_record(tmp_path: Path) -> None:
    (record,) = records(1, before="PENDING", after="CRASHED")
    async with opened(tmp_path) as sink:
        await sink.write([record])
    columns = ", ".join(
        f"CAST({name} AS VARCHAR)" if name in ("occurred", "received") else name for name in Row._fields
    )
    (row,) = ask(tmp_path, f"SET TimeZone = 'UTC'; SELECT {columns} FROM FILES")
    found = Row(*row)
    assert (found.id, found.seq, found.kind) == (record.event.id, 1, "transition")
    assert (str(found.occurred), found.flow_run_id, found.flow) == (
        "2026-11-21 12:00:00+00",
        record.event.run_id,
        "etl",
    )
    assert (found.from_type, found.to_type, found.run_count, found.tags) == ("PENDING", "CRASHED", 1, [])
    assert ask(tmp_path, "SELECT record->>'$.to.type' FROM FILES") == [("CRASHED",)]


async def test_columns_have_the_same_types_when_they_are_empty(tmp_path: Path) -> None:
    bare = an_event(occurred=NOON, received=None, related=[], event="a", resource={"prefect.resource.id": "b"})
    async with opened(tmp_path) as sink:
        await sink.write(records(1))
        await sink.write([Record(2, "default", decode(orjson.dumps({**bare, "payload": {}})))])
    types = [ask(tmp_path, f"DESCRIBE FROM '{path}'") for path in files(tmp_path)]
    assert types[0] == types[1]
    assert [name for name, *_ in types[0] if name != "day"] == list(Row._fields)


@pytest.mark.parametrize("bounds", [(1, 10), (1, 14), (4, 8), (8, 20), (11, 12)])
async def test_a_repetition_with_other_bounds_adds_only_what_is_new(tmp_path: Path, bounds: tuple[int, int]) -> None:
    first, last = bounds
    async with opened(tmp_path) as sink:
        await sink.write(records(10))
        await sink.write(records(last - first + 1, start=first))
    async with opened(tmp_path) as sink:
        await sink.write(records(last - first + 1, start=first))
    assert seqs(tmp_path) == list(range(1, max(10, last) + 1))


async def test_an_older_record_that_comes_late_is_added(tmp_path: Path) -> None:
    async with opened(tmp_path) as sink:
        await sink.write([*records(2), *records(2, start=4)])
        await sink.write(records(1, start=3))
    assert seqs(tmp_path) == [1, 2, 3, 4, 5]


async def test_a_log_that_begins_anew_is_added_to_the_old_one(tmp_path: Path) -> None:
    async with opened(tmp_path) as sink:
        await sink.write(records(3))
        await sink.write([Record(seq, "default", decode(orjson.dumps(an_event(occurred=NOON)))) for seq in (1, 2, 3)])
    assert seqs(tmp_path) == [1, 1, 2, 2, 3, 3]


async def test_many_small_files_of_a_day_become_few(tmp_path: Path) -> None:
    async with opened(tmp_path) as sink:
        for seq in range(1, 101):
            await sink.write(records(1, start=seq))
    assert seqs(tmp_path) == list(range(1, 101))
    assert len(files(tmp_path)) < 3 * MERGED
    async with opened(tmp_path) as sink:
        await sink.write(records(110))
    assert seqs(tmp_path) == list(range(1, 111))


async def test_what_a_crash_in_a_merge_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    folder, aside = tmp_path / "day=2026-11-21", tmp_path / "aside"
    async with opened(tmp_path) as sink:
        for seq in range(1, MERGED):
            await sink.write(records(1, start=seq))
        shutil.copytree(folder, aside)
        await sink.write(records(1, start=MERGED + 1))
        await sink.write(records(1, start=MERGED))  # within the bounds of the merged file, and not in it
    (merged, other) = files(folder)
    for old in list(aside.iterdir())[2:]:
        shutil.move(old, folder)
    shutil.rmtree(aside)
    (folder / f"{merged.name}.partial").write_bytes(b"PAR1")
    (folder / "notes.parquet.txt").write_text("an analyst's")
    assert len(seqs(tmp_path)) > MERGED + 1
    async with opened(tmp_path):
        pass
    assert files(folder) == sorted([merged, other, folder / "notes.parquet.txt"])
    assert seqs(tmp_path) == list(range(1, MERGED + 2))


@contextmanager
def no_more_space_than(number: int) -> Iterator[None]:
    """Let no file grow beyond so many bytes, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (number, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_full_disk_leaves_nothing_half_written_and_is_tried_again_after(tmp_path: Path) -> None:
    async with opened(tmp_path) as sink:
        await sink.write(records(2))
        with no_more_space_than(100), pytest.raises(Retry, match="the Parquet files cannot be written"):
            await sink.write(records(2, start=3))
        assert len(files(tmp_path)) == 1
        assert seqs(tmp_path) == [1, 2]
        await sink.write(records(2, start=3))
    assert seqs(tmp_path) == [1, 2, 3, 4]


async def test_what_stands_in_the_way_is_an_error_to_try_again_after(tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.write_text("")
    sink = made(folder)
    with pytest.raises(Retry, match="File exists"):
        await sink.open()
    folder.unlink()
    await sink.write(records(1))
    await sink.close()
    assert seqs(folder) == [1]


async def test_while_a_file_cannot_be_read_nothing_is_written_twice(tmp_path: Path) -> None:
    async with opened(tmp_path) as sink:
        await sink.write(records(4))
    (there,) = files(tmp_path)
    damaged = there.with_name(there.name.replace("000000000001-", "000000000002-"))
    damaged.write_bytes(b"PAR1")
    sink = made(tmp_path)
    with pytest.raises(Retry, match=damaged.name):
        await sink.open()
    with pytest.raises(Retry, match=damaged.name):
        await sink.write(records(5))
    damaged.unlink()
    await sink.write(records(5))
    await sink.close()
    assert seqs(tmp_path) == [1, 2, 3, 4, 5]


async def test_records_that_the_format_passes_over_are_no_file(tmp_path: Path) -> None:
    async with opened(tmp_path, "?format=template&template=%20") as sink:
        await sink.write(records(2))
    assert files(tmp_path) == []


WRITER = """
import asyncio, sys
from pathlib import Path
from tests.sinks.test_parquet import made, records

async def write(folder, start):
    sink = made(folder)
    await sink.open()
    print("open", flush=True)
    for first in range(start, 10**6, 3):
        await sink.write(records(3, start=first))
        print(first + 2, flush=True)

asyncio.run(write(Path(sys.argv[1]), int(sys.argv[2])))
"""


async def killed_while_writing(folder: Path, *, start: int, writes: int) -> int:
    """Let a process write to a folder, kill it after so many writes, and return the last `seq` it had acknowledged."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITER, str(folder), str(start), stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout
    said = [await child.stdout.readline() for _ in range(writes)]
    child.kill()
    said += (await child.stdout.read()).splitlines()
    await child.wait()
    return int(said[-1])


async def test_killed_again_and_again_it_has_everything_once(tmp_path: Path) -> None:
    acknowledged, chance = 0, random.Random(7)
    for _ in range(3):
        start = max(1, acknowledged - 20)
        acknowledged = await killed_while_writing(tmp_path, start=start, writes=chance.randrange(30, 60))
    async with opened(tmp_path) as sink:
        await sink.write(records(100, start=acknowledged - 50))
    assert seqs(tmp_path) == list(range(1, acknowledged + 50))
    assert all(Part.of(path) for path in files(tmp_path))


async def test_it_closes_though_it_never_opened(tmp_path: Path) -> None:
    await made(tmp_path / "there").close()
    assert not (tmp_path / "there").exists()


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        ("parquet:///var/lib/runs", {"path": "/var/lib/runs"}),
        ("parquet:runs", {"path": "runs"}),
        ("parquet:///a%20folder?format=event", {"path": "/a folder", "format": "event"}),
    ],
)
def test_a_spec_gives_the_path_and_in_its_query_the_options(spec: str, options: dict[str, Any]) -> None:
    assert sinks.parse(spec) == ("parquet", options)


@pytest.mark.parametrize(
    ("spec", "said"),
    [("parquet:", "names no folder"), ("parquet://runs", "names no folder"), ("parquet:///a[b]", "for a pattern")],
)
def test_a_spec_that_names_no_folder_is_refused(spec: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        sinks.build(*sinks.parse(spec))
