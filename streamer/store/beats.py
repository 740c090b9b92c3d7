"""The last heartbeats of each run: a ring beside the run's row, since beats are by far the most of what comes.

A beat is told from others by its run and when it occurred; its id is entered nowhere, for else a month of beats would
outweigh all the rest. One that is older than a full ring may have been in it, and is passed over.
"""

from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from typing import TypeAlias
from uuid import UUID

from schemas import Heartbeat
from streamer.model import Beat
from streamer.store.engine import Connection
from streamer.store.many import THESE, joined
from streamer.timestamps import to_micros

BEATS_KEPT = 32

Ring: TypeAlias = "array[int]"
"""The two times of each beat, one after the other, by when the beats occurred."""


def add(connection: Connection, beats: Iterable[Heartbeat]) -> list[Heartbeat]:
    """Keep these beats; return those that are new."""
    by_run: dict[UUID, list[Heartbeat]] = defaultdict(list)
    for beat in beats:
        by_run[beat.run].append(beat)
    if not by_run:
        return []
    rings, fresh = _load(connection, by_run), []
    for run, its_beats in by_run.items():
        ring = rings.setdefault(run, array("q"))
        fresh += [beat for beat in its_beats if enter(ring, times_of(beat))]
    rows = ((run.bytes, ring.tobytes()) for run, ring in rings.items())
    connection.executemany("INSERT INTO beats VALUES (?, ?) ON CONFLICT (run) DO UPDATE SET ring = excluded.ring", rows)
    return fresh


def read(ring: bytes | None) -> tuple[Beat, ...]:
    """Return the beats of a ring as it is stored, oldest first."""
    numbers = array("q", ring or b"")
    return tuple(Beat(*pair) for pair in zip(numbers[::2], numbers[1::2], strict=True))


def forget(connection: Connection, runs: Iterable[UUID]) -> None:
    """Drop the rings of these runs."""
    connection.execute(f"DELETE FROM beats WHERE run IN {THESE}", joined(runs))


def enter(ring: Ring, beat: Beat) -> bool:
    """Put a beat where it belongs in the ring; tell whether it was new."""
    place = len(ring)
    if ring and beat.occurred <= ring[-2]:
        occurred = ring[::2]
        index = bisect_left(occurred, beat.occurred)
        is_full = len(occurred) >= BEATS_KEPT
        if occurred[index] == beat.occurred or (index == 0 and is_full):
            return False
        place = 2 * index
    ring[place:place] = array("q", beat)
    del ring[: -2 * BEATS_KEPT]
    return True


def times_of(beat: Heartbeat) -> Beat:
    """Return when a heartbeat occurred and was received; if nobody says, both at once."""
    occurred = to_micros(beat.occurred)
    return Beat(occurred, to_micros(beat.received) if beat.received else occurred)


def _load(connection: Connection, runs: Iterable[UUID]) -> dict[UUID, Ring]:
    rows = connection.execute(f"SELECT run, ring FROM beats WHERE run IN {THESE}", joined(runs))
    return {UUID(bytes=run): array("q", ring) for run, ring in rows}
