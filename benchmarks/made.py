"""Events that are made before they are sent: the transitions of many runs, with what Prefect tells beside them."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from random import Random
from typing import Any, NamedTuple
from uuid import uuid4

import orjson

from benchmarks.big_store import uuid7_by
from streamer.testing import an_event

STATES = ("PENDING", "RUNNING", "COMPLETED")
RUNS_AT_ONCE = 50
"""Runs that go on side by side: their transitions come in turns."""


class Made(NamedTuple):
    """An event as JSON."""

    id: str
    occurred: datetime
    body: bytes


def made(event: dict[str, Any]) -> Made:
    """Return it as JSON."""
    return Made(event["id"], datetime.fromisoformat(event["occurred"]), orjson.dumps(event))


def events(
    number: int, states: Sequence[str] = STATES, occurred: Iterable[datetime] | None = None
) -> Iterator[dict[str, Any]]:
    """Yield so many transitions of runs that go through these states; they occur now, or else at these times.

    Their ids are as Prefect makes them: those of events near those of the same time, those of runs anywhere.
    """
    related = [_related(role) for role in ("flow", "deployment", "work-pool", "work-queue")]
    related += [_related("tag", tag) for tag in ("prod", "team:a")]
    times, random = iter(occurred or iter(partial(datetime.now, UTC), None)), Random()
    while number > 0:
        last: dict[str, str | None] = {str(uuid4()): None for _ in range(RUNS_AT_ONCE)}
        for before, after in zip((None, *states), states, strict=False):
            for run in islice(last, max(number, 0)):
                number -= 1
                moment, follows = next(times), last[run]
                last[run] = ident = str(uuid7_by(random, moment))
                told = {"id": ident, "follows": follows, "related": related}
                yield an_event(run=run, before=before, after=after, occurred=moment, **told)


def _related(role: str, ident: str = "") -> dict[str, str]:
    ident = ident or str(uuid4())
    named = {"prefect.resource.id": f"prefect.{role}.{ident}", "prefect.resource.role": role}
    return {**named, "prefect.resource.name": f"a {role} of this benchmark"}
