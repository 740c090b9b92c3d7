"""The queue between nets and pipeline: in order, bounded, waiting to fill a batch only as long as it was told to."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from streamer.intake import OTHER_BYTES, Intake
from streamer.model import Frame, Item, Mark, Net

MARK = Mark("default", datetime(2026, 1, 1, tzinfo=UTC))


def frame(number: int, *, size: int = 10) -> Frame:
    return Frame("default", Net.LIVE, b"%0*d" % (size, number))


async def settle() -> None:
    """Let every task go as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def filled(items: Sequence[Item], *, limit_bytes: int = 1000) -> Intake:
    intake = Intake(limit_bytes)
    for item in items:
        await intake.put(item)
    return intake


async def test_what_arrived_is_taken_in_order() -> None:
    items: list[Item] = [frame(1), MARK, frame(2), frame(3)]
    intake = await filled(items)
    assert await intake.take(3) + await intake.take(3) == items


async def test_a_take_does_not_wait_to_fill_a_batch() -> None:
    intake = await filled([frame(1)])
    assert await intake.take(512) == [frame(1)]


async def test_a_take_waits_for_the_first_item() -> None:
    intake = Intake()
    taking = asyncio.create_task(intake.take(512))
    await settle()
    assert not taking.done()
    await intake.put(frame(1))
    assert await taking == [frame(1)]


async def test_a_take_that_lingers_takes_what_comes_meanwhile() -> None:
    intake = Intake(linger=timedelta(seconds=0.2))
    taking = asyncio.create_task(intake.take(512))
    await intake.put(frame(1))
    await settle()
    assert not taking.done()
    await intake.put(frame(2))
    assert await taking == [frame(1), frame(2)]


@pytest.mark.parametrize("most", [1, 2])
async def test_a_take_does_not_linger_over_a_full_batch(most: int) -> None:
    intake = Intake(linger=timedelta(minutes=1))
    for number in range(most):
        await intake.put(frame(number))
    assert len(await intake.take(most)) == most


async def test_nor_once_it_is_closed() -> None:
    intake = Intake(linger=timedelta(minutes=1))
    taking = asyncio.create_task(intake.take(512))
    await intake.put(frame(1))
    await settle()
    intake.close()
    assert await taking == [frame(1)]
    assert await intake.take(512) == []


async def test_a_put_waits_while_too_many_bytes_are_waiting() -> None:
    intake = await filled([frame(1, size=60), frame(2, size=60)], limit_bytes=100)
    putting = asyncio.create_task(intake.put(frame(3)))
    await settle()
    assert not putting.done()
    assert await intake.take(1) == [frame(1, size=60)]
    await putting
    assert await intake.take(2) == [frame(2, size=60), frame(3)]


async def test_a_frame_above_the_limit_goes_through_alone() -> None:
    intake = await filled([frame(1, size=500)], limit_bytes=100)
    putting = asyncio.create_task(intake.put(frame(2)))
    await settle()
    assert not putting.done()
    assert await intake.take(1) == [frame(1, size=500)]
    await putting


async def test_marks_count_towards_the_limit() -> None:
    intake = await filled([MARK, MARK], limit_bytes=2 * OTHER_BYTES - 1)
    putting = asyncio.create_task(intake.put(MARK))
    await settle()
    assert not putting.done()
    await intake.take(1)
    await putting


async def test_many_that_wait_to_put_all_get_their_turn() -> None:
    intake = Intake(50)
    putting = asyncio.gather(*(intake.put(frame(number)) for number in range(100)))
    taken: list[Item] = []
    while len(taken) < 100:
        taken += await intake.take(7)
    await putting
    assert sorted(taken, key=repr) == [frame(number) for number in range(100)]


async def test_once_closed_what_waits_is_taken_and_then_nothing() -> None:
    intake = await filled([frame(1), frame(2)])
    intake.close()
    assert [await intake.take(1) for _ in range(4)] == [[frame(1)], [frame(2)], [], []]


async def test_closing_ends_a_take_that_waits() -> None:
    intake = Intake()
    taking = asyncio.create_task(intake.take(512))
    await settle()
    intake.close()
    assert await taking == []
