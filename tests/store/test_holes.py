"""What transitions follow, and nobody brought."""

from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import orjson
import pytest

from schemas import decode
from streamer.model import Net
from streamer.store.sqlite import SqliteStore
from streamer.testing import an_event
from streamer.testing.conformance import EPOCH

LATER = EPOCH + timedelta(hours=2)
RUN = str(uuid4())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "streamer.db"


async def holes_after(path: Path, *contents: dict[str, object]) -> tuple[set[UUID], set[UUID]]:
    """Append these, one by one; return the runs with holes, and again when those were looked into."""
    store = SqliteStore.open(path)
    await store.open_source("default", identity="a server", now=EPOCH)
    for content in contents:
        await store.append("default", [decode(orjson.dumps(content))], net=Net.LIVE)
    found = await store.holes("default", LATER, 10)
    await store.forget_holes(found.keys())
    again = await store.holes("default", LATER, 10)
    await store.close()
    return set(found.values()), set(again.values())


def move(**changes: object) -> dict[str, object]:
    return an_event(run=RUN, occurred=EPOCH + timedelta(hours=1), **changes)  # type: ignore[arg-type]


async def test_hole_is_found_and_looked_into_once(path: Path) -> None:
    assert await holes_after(path, move(follows=str(uuid4()))) == ({UUID(RUN)}, set())


async def test_chain_without_a_gap_has_no_hole(path: Path) -> None:
    first = move()
    assert await holes_after(path, first, move(follows=first["id"])) == (set(), set())


async def test_hole_that_was_filled_meanwhile_is_none(path: Path) -> None:
    missing = move()
    assert await holes_after(path, move(follows=missing["id"]), missing) == (set(), set())


async def test_first_state_of_a_run_that_the_scheduler_made_is_no_hole(path: Path) -> None:
    first = move(before="SCHEDULED", after="PENDING", follows=str(uuid4()))
    resource = {**first["resource"], "prefect.run-count": "0"}  # type: ignore[dict-item]
    assert await holes_after(path, {**first, "resource": resource}) == (set(), set())


async def test_hole_is_given_time_to_be_filled(path: Path) -> None:
    store = SqliteStore.open(path)
    await store.open_source("default", identity="a server", now=EPOCH)
    await store.append("default", [decode(orjson.dumps(move(follows=str(uuid4()))))], net=Net.LIVE)
    assert set((await store.holes("default", EPOCH, 10)).values()) == set()
    assert set((await store.holes("default", LATER, 10)).values()) == {UUID(RUN)}
    await store.close()
