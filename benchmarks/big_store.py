"""A store with as many runs as one likes, five transitions each: `python -m benchmarks.big_store 1000000`.

It is kept for the next time. Runs, records and events are as appends leave them, but written in large pieces; nothing
is counted. A million runs take minutes so, and a good part of an hour if they are appended.
"""

import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory, gettempdir
from typing import NamedTuple
from uuid import NAMESPACE_OID, UUID, uuid5

import orjson

from schemas import Event, StateType
from schemas.event import Resource
from streamer.model import Net, Record, RunState
from streamer.store import ledger, run_rows, segments
from streamer.store.connection import SqliteConnection, connect, transaction
from streamer.store.migrations import STEPS, migrate
from streamer.testing import an_event
from streamer.timestamps import to_micros

START = datetime(2026, 1, 1, tzinfo=UTC)
APART = timedelta(milliseconds=500)
LATELY = 1_000
"""So many of the newest runs have not ended."""

NEVER_WELL = "never-well"
"""A flow of a twentieth of the runs, of which only the first completed."""

COMMON_TAG, RARE_TAG = "prod", "canary"
FLOWS = [f"flow-{number:03}" for number in range(200)]
WORDS = ("amber", "brave", "crimson", "dapper", "eager", "fuzzy", "gentle", "hasty", "ivory", "jolly", "keen", "lucid")
USUAL = 100_000
"""A tenth of what is promised, so that `make bench` does not take long; `make bench RUNS=1000000` takes them all."""

BLOCK = 10_000
SEGMENT = 512


class Moved(NamedTuple):
    """A transition, with its event's JSON."""

    id: UUID
    run: UUID
    occurred: datetime
    before: str | None
    after: str
    raw: bytes


def kept(runs: int) -> Path:
    """Return a store with so many runs, made unless it is there from another time."""
    path = Path(gettempdir()) / "streamer-benchmarks" / f"{runs}-runs-schema-{len(STEPS)}.db"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=path.parent) as making:
            build(Path(making) / path.name, runs)
            (Path(making) / path.name).rename(path)
    return path


def build(path: Path, runs: int) -> None:
    """Make the store."""
    random = Random(0)
    with closing(connect(path)) as connection:
        migrate(connection)
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -800000")
        connection.execute("INSERT INTO sources (id, name, identity, epoch) VALUES (1, 'default', 'benchmark', 0)")
        _write_names(connection)
        for first in range(0, runs, BLOCK):
            numbers = range(first, min(runs, first + BLOCK))
            block = [a_run(number, random, has_ended=number < runs - LATELY) for number in numbers]
            with transaction(connection):
                _write(connection, block)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def a_run(number: int, random: Random, *, has_ended: bool) -> tuple[RunState, list[Moved]]:
    """Return a run and what happens to it."""
    flow = NEVER_WELL if number % 20 == 0 else FLOWS[int(len(FLOWS) * random.random() ** 3)]
    ends = ["RUNNING", _end(number, flow, random)] if has_ended else ["PAUSED", "RUNNING"]
    run, parties, tags = uuid4_by(random), _parties(flow, random), _tags(random)
    name = "-".join((random.choice(WORDS), random.choice(WORDS), str(random.randrange(1000))))
    related = [_related(role, ident, name) for role, (ident, name) in parties.items()]
    related += [{"prefect.resource.id": f"prefect.tag.{tag}", "prefect.resource.role": "tag"} for tag in tags]
    moment, moved, before = START + number * APART, list[Moved](), None
    for after in ("SCHEDULED", "PENDING", "RUNNING", *ends):
        ident = uuid7_by(random, moment)
        event = an_event(run=str(run), before=before, after=after, occurred=moment, related=related, id=str(ident))
        event["resource"]["prefect.resource.name"] = name
        moved.append(Moved(ident, run, moment, before, after, orjson.dumps(event)))
        before, moment = after, moment + timedelta(seconds=random.expovariate(1 / 20))
    return _run(moved, name, {role: ident for role, (ident, _) in parties.items()}, tags), moved


def _run(moved: Sequence[Moved], name: str, of: Mapping[str, str], tags: Sequence[str]) -> RunState:
    last = moved[-1]
    state = StateType(last.after)
    return RunState(
        id=last.run,
        source="default",
        name=name,
        flow=of["flow"],
        deployment=of["deployment"],
        work_pool=of["work-pool"],
        work_queue=of["work-queue"],
        task_run=of.get("task-run"),
        tags=tuple(tags),
        run_count=1,
        state_id=last.id,
        state_type=state,
        state_name=state.capitalize(),
        state_message=None,
        state_at=last.occurred,
        seen_at=moved[0].occurred,
        started_at=moved[2].occurred,
        ended_at=last.occurred if state.is_terminal else None,
        since=last.occurred,
        due=moved[0].occurred,
        waited=True,
        lasted=state.is_terminal,
    )


def _end(number: int, flow: str, random: Random) -> str:
    if flow == NEVER_WELL:
        return "FAILED" if number else "COMPLETED"
    return random.choices(["COMPLETED", "FAILED", "CRASHED", "CANCELLED"], [940, 50, 9, 1])[0]


def _parties(flow: str, random: Random) -> dict[str, tuple[str, str]]:
    """Return by role the id and name of what a run has to do with."""
    deployment, pool = f"{flow}-{random.randrange(3)}", f"pool-{random.randrange(5)}"
    names = {"flow": flow, "deployment": deployment, "work-pool": pool, "work-queue": f"{pool}-queue"}
    called = {"task-run": (str(uuid4_by(random)), "call-0")} if random.random() < 0.05 else {}
    return {role: (str(_ident(role, name)), name) for role, name in names.items()} | called


@cache
def _ident(role: str, name: str) -> UUID:
    return uuid5(NAMESPACE_OID, f"{role} {name}")


def _tags(random: Random) -> list[str]:
    return [
        f"team:{random.randrange(20)}",
        *([COMMON_TAG] if random.random() < 0.6 else []),
        *([f"customer:{random.randrange(5_000)}"] if random.random() < 0.3 else []),
        *([RARE_TAG] if random.random() < 0.001 else []),
    ]


def _related(role: str, ident: str, name: str) -> dict[str, str]:
    resource = {"prefect.resource.id": f"prefect.{role}.{ident}", "prefect.resource.role": role}
    return {**resource, "prefect.resource.name": name}


def uuid4_by(random: Random) -> UUID:
    """Return an id that the seed of the randomness decides."""
    return UUID(int=random.getrandbits(128), version=4)


def uuid7_by(random: Random, moment: datetime) -> UUID:
    """Return an id as Prefect makes those of states, and so of events: near those of the same time."""
    milliseconds, first, rest = to_micros(moment) // 1000, random.getrandbits(12), random.getrandbits(62)
    return UUID(int=milliseconds << 80 | 7 << 76 | first << 64 | 2 << 62 | rest)


def _write(connection: SqliteConnection, block: Sequence[tuple[RunState, Sequence[Moved]]]) -> None:
    run_rows.save(connection, (run for run, _ in block), {})
    moved = sorted((each for _, moves in block for each in moves), key=lambda each: each.occurred)
    first = connection.execute("SELECT coalesce(max(seq), 0) + 1 FROM records").fetchone()[0]
    rows = [
        (seq, each.id.bytes, each.run.bytes, to_micros(each.occurred), each.before, each.after)
        for seq, each in enumerate(moved, first)
    ]
    known = [(each.id.bytes, to_micros(each.occurred), ledger.EVENT, ledger.NETS.index(Net.LIVE)) for each in moved]
    connection.executemany("INSERT INTO ledger VALUES (?, 1, ?, ?, 1, ?)", known)
    connection.executemany("INSERT INTO records VALUES (?, ?, 1, ?, ?, 'transition', ?, ?)", rows)
    for start in range(0, len(moved), SEGMENT):
        events = enumerate(map(_event, moved[start : start + SEGMENT]), first + start)
        segments.write(connection, 1, [Record(seq, "default", event) for seq, event in events])


def _event(moved: Moved) -> Event:
    """Return as much of the event as segments take; to decode all of it would take most of the time."""
    about = Resource(**{"prefect.resource.id": f"prefect.flow-run.{moved.run}"})
    event = Event.model_construct(id=moved.id, occurred=moved.occurred, name="", resource=about)
    vars(event)["raw"] = moved.raw
    return event


def _write_names(connection: SqliteConnection) -> None:
    flows = [*FLOWS, NEVER_WELL]
    pools = [f"pool-{number}" for number in range(5)]
    names = {
        "flow": flows,
        "deployment": [f"{flow}-{number}" for flow in flows for number in range(3)],
        "work-pool": pools,
        "work-queue": [f"{pool}-queue" for pool in pools],
    }
    rows = [(str(_ident(role, name)), name) for role, named in names.items() for name in named]
    connection.executemany("INSERT INTO names VALUES (?, ?, 0)", rows)


if __name__ == "__main__":
    begun = time.perf_counter()
    print(kept(int(sys.argv[1])), f"{time.perf_counter() - begun:.0f} s")
