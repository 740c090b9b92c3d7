"""Replicas on one store in PostgreSQL: one leads, the others stand by; whatever befalls the leader loses nothing."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import httpx
import psycopg
import pytest

from streamer.demo.server import PrefectServer
from streamer.demo.truth import Truth
from tests import patient
from tests.end_to_end.test_stopping import Load
from tests.running import RunningService
from tests.services.line import Line
from tests.services.postgres_server import PASSWORD, USER, PostgresServer, served

pytestmark = [pytest.mark.services, pytest.mark.timeout(1200)]

SEED = 3
FAULTS = 15
TAKE_OVER_SECONDS = 10.0

LAST_SECONDS = 240.0
"""What Prefect's server has still to write when nothing is posted any more may be thousands of events."""


class Replica(RunningService):
    """A service that reaches its store by a line of its own."""

    def __init__(self, folder: Path, prefect: PrefectServer, postgres: PostgresServer, line: Line) -> None:
        folder.mkdir()
        self.line = line
        super().__init__(
            folder,
            prefect.api_url,
            STREAMER_STORE=postgres.url.replace(f":{postgres.port}/", f":{line.port}/"),
            STREAMER_SINKS__TABLE__TYPE="postgres",
            STREAMER_SINKS__TABLE__HOST="127.0.0.1",
            STREAMER_SINKS__TABLE__PORT=str(postgres.port),
            STREAMER_SINKS__TABLE__DATABASE="postgres",
            STREAMER_SINKS__TABLE__USERNAME=USER,
            STREAMER_SINKS__TABLE__PASSWORD=PASSWORD,
            STREAMER_SINKS__TABLE__TABLE="transitions",
        )
        self.file = folder.parent / "runs.jsonl"

    def status(self) -> dict[str, Any]:
        """Return what it says of itself."""
        found: dict[str, Any] = patient.get(f"{self.address}/readyz").json()
        return found

    def leads(self) -> bool:
        """Tell whether it says that it leads."""
        return bool(self.status()["role"] == "leader")

    def stands_by(self) -> bool:
        """Tell whether it follows another."""
        return self.is_ready() and not self.leads()

    def await_more(self, number: int) -> None:
        """Return when the file has so many more records."""
        before = len(self.ids())
        self.wait_until(lambda: len(self.ids()) >= before + number)

    def kill(self) -> None:
        """End it without a word."""
        self.stop(signal.SIGKILL)

    def freeze(self) -> None:
        """Stop it where it is."""
        assert self.process
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on as if nothing had been."""
        assert self.process
        self.process.send_signal(signal.SIGCONT)


FATES: dict[str, tuple[Callable[[Replica], None], Callable[[Replica], None]]] = {
    "killed": (Replica.kill, Replica.start),
    "frozen": (Replica.freeze, Replica.go_on),
    "cut off": (lambda replica: replica.line.cut(), lambda replica: replica.line.mend()),
}


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    yield from served()


@contextmanager
def replicas(number: int, folder: Path, prefect: PrefectServer, postgres: PostgresServer) -> Iterator[list[Replica]]:
    """Run so many, one after the other; the first leads."""
    with ExitStack() as stack:
        started = list[Replica]()
        for place in range(number):
            line = stack.enter_context(Line(postgres.port))
            replica = Replica(folder / f"replica-{place}", prefect, postgres, line)
            stack.callback(_end, replica)
            replica.start()
            started.append(replica)
        yield started


def _end(replica: Replica) -> None:
    if replica.process and replica.process.poll() is None:
        replica.process.kill()
        replica.process.wait()


def test_whatever_befalls_the_leader_another_takes_over_and_nothing_is_lost_or_counted_twice(
    tmp_path: Path, postgres: PostgresServer, capsys: pytest.CaptureFixture[str]
) -> None:
    dice, took = Random(SEED), list[tuple[str, float]]()
    with (
        PrefectServer(tmp_path / "prefect") as prefect,
        replicas(3, tmp_path, prefect, postgres) as all_of_them,
        Load(prefect, most=400) as load,  # it waits for answers, too
    ):
        started = time.monotonic()
        leader = all_of_them[0]
        assert leader.leads()
        for _ in range(FAULTS):
            leader.await_more(dice.randrange(1, 400))
            fate = dice.choice(list(FATES))
            befall, mend = FATES[fate]
            befall(fallen := leader)
            begun = time.monotonic()
            leader = next_leader([each for each in all_of_them if each is not fallen])
            took.append((fate, time.monotonic() - begun))
            mend(fallen)
            fallen.wait_until(fallen.stands_by)
        load.stop()
        rate = len(load.posted) / (time.monotonic() - started)
        with closing(Truth(prefect.api_url)) as truth:
            leader.wait_until(lambda: truth.total() == len(load.posted), seconds=LAST_SECONDS)
        leader.wait_until(lambda: set(load.posted) == set(leader.ids()), seconds=LAST_SECONDS)
        for each in all_of_them:
            each.wait_until(partial(has_counted, each, len(load.posted)))
            each.wait_until(partial(shows, each, "prefect_streamer_leader", int(each is leader)))
        leader.wait_until(lambda: delivered(postgres) == (len(load.posted), len(load.posted)), seconds=LAST_SECONDS)
        for each in all_of_them:
            assert each.stop() == 0
    with capsys.disabled():
        print(f"\n{len(load.posted)} events, {rate:.0f} a second, each once in all counters and in the table")
        print("the leader was", ", ".join(f"{fate} ({seconds:.1f} s)" for fate, seconds in took))
    assert {fate for fate, _ in took} == set(FATES)
    assert max(seconds for _, seconds in took) < TAKE_OVER_SECONDS


def next_leader(others: list[Replica]) -> Replica:
    """Return who has taken over."""
    others[0].wait_until(lambda: any(each.leads() for each in others))
    return next(each for each in others if each.leads())


def has_counted(replica: Replica, transitions: int) -> bool:
    """Tell whether its metrics have so many."""
    return shows(replica, "prefect_flow_run_transitions_total", transitions)


def shows(replica: Replica, name: str, value: int) -> bool:
    """Tell whether a metric has this value; one that could not read the store for long shows none."""
    try:
        return replica.counted(name) == value
    except httpx.HTTPStatusError:
        return False


def delivered(postgres: PostgresServer) -> tuple[int, int]:
    """Return how many rows and how many different ids the table has."""
    with psycopg.connect(postgres.url) as connection:
        row = connection.execute("SELECT count(*), count(DISTINCT id) FROM transitions").fetchone()
    assert row
    return row[0], row[1]


def test_who_stands_by_answers_from_the_store_and_takes_over_within_a_second_of_a_clean_stop(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    with (
        PrefectServer(tmp_path / "prefect") as prefect,
        replicas(2, tmp_path, prefect, postgres) as (leader, standby),
        Load(prefect, most=100) as load,
        httpx.Client(base_url=standby.address, trust_env=False, timeout=30) as http,
    ):
        leader.wait_until(lambda: len(leader.ids()) > 200)
        load.stop()
        for each in (leader, standby):
            each.wait_until(partial(has_counted, each, len(load.posted)))
        assert standby.status()["role"] == "standby"
        assert standby.status()["head"] == leader.status()["head"]
        run = http.get(f"/api/runs/{load.run}").raise_for_status().json()
        assert run == patient.get(f"{leader.address}/api/runs/{load.run}").json()
        found = http.post("/graphql", json={"query": "{ flow_run { id } }"}).raise_for_status().json()
        assert found == {"data": {"flow_run": [{"id": load.run}]}}
        shown = http.get("/api/live").raise_for_status().json()
        assert shown["standing"]["mode"] == "store"
        assert shown["rows"][-1]["run"] == load.run
        assert {each["name"]: (each["state"], each["behind"]) for each in shown["sinks"]}["table"] == ("elsewhere", 0)
        with http.stream("GET", "/api/events") as events:
            told = events.iter_bytes()
            assert next(told)
            assert leader.stop() == 0
            begun = time.monotonic()
            standby.wait_until(standby.leads)
            assert time.monotonic() - begun < 1
            list(told)  # it ends: who watched is let go, and comes again
        assert has_counted(standby, len(load.posted))
        assert standby.counted("prefect_streamer_leader") == 1
