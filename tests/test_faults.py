"""Two hundred seeds of misfortune: whatever the server does, log, counters and runs become the truth, and stay it.

Each seed plays a small random history to the real nets, pipeline and store, over real sockets, while everything that
can go wrong does. A third of the seeds stop and start again in the middle. What takes seconds takes milliseconds here.
`pytest tests/test_faults.py -k seed-017` plays one again.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from uuid import UUID

import pytest
import pytest_asyncio
import structlog

from schemas import Notice
from streamer import health as healths
from streamer.audit import SECOND
from streamer.backoff import backoff
from streamer.clock import ServerClock, SystemClock
from streamer.health import SourceHealth
from streamer.instruments import Instruments
from streamer.intake import Intake
from streamer.log import Log
from streamer.model import Family, RunState
from streamer.pipeline import Pipeline
from streamer.source import live, reading, states
from streamer.source.api import Api
from streamer.source.connection import Connection, tls_context
from streamer.source.live import LiveSource
from streamer.source.states import States
from streamer.source.sweep import Sweep
from streamer.store.sqlite import SqliteStore
from streamer.testing import FakePrefect, Faults, until
from streamer.testing.faults import Misfortune
from tests.history import Known, Truth, plan

SEEDS = range(200)
AT_ONCE = 20

MODES: tuple[tuple[bool, tuple[Misfortune, ...]], ...] = (
    (True, ()),
    (False, (Misfortune.LOST,)),
    (
        False,
        (Misfortune.DROPPED, Misfortune.REORDERED, Misfortune.TRUNCATED, Misfortune.CORRUPTED, Misfortune.WRONG_TOTAL),
    ),
)
"""Whether the tables are asked, and what never happens.

Asking them makes up for a sweep that is not complete. The sweep alone finds by counting what the websocket dropped, as
long as REST has all events; and by reading again what was missed while disconnected, whatever REST has.
"""

HISTORY_SECONDS = 1.5
AGES = ((SECOND // 5, SECOND // 3), (SECOND, SECOND), (2 * SECOND, 2 * SECOND))

EVERY, SETTLED = timedelta(seconds=0.3), timedelta(seconds=0.5)

TLS = tls_context()
"""Nothing is encrypted here, but httpx would make this each time, which is costly."""

COUNTED = (Family.TRANSITIONS, Family.FINISHED, Family.RETRIES, Family.PHANTOMS)

COMPARISON = "/api/flow_runs/filter"
"""What the states net asks at least twice in each of its comparisons."""

COUNT = "/api/events/filter"
"""What the sweep asks."""

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def hurry() -> Iterator[None]:
    """Make milliseconds of the seconds that the nets wait."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(healths, "AFTER_CONNECT", (0.0, 0.2, 0.5))
        patch.setattr(live, "LONGEST_WAIT_SECONDS", 0.3)
        patch.setattr(reading, "PATIENCE", backoff(first=0.01, longest=0.2))
        patch.setattr(states, "RETRY", timedelta(seconds=0.1))
        yield


@dataclass
class Streamer:
    """What a service is made of, without its web server and sinks."""

    log: Log
    store: SqliteStore
    epoch: datetime
    health: SourceHealth

    def is_live(self) -> bool:
        return self.health.connected and self.health.is_ready

    async def known(self, truth: Truth) -> Known:
        counts = {
            (counter.family, counter.flow, *counter.labels): value
            for counter, value in (await self.store.totals()).counts.items()
            if counter.family in COUNTED
        }
        runs = await self._runs(truth)
        shown = {str(run.id): (str(run.state_id), str(run.state_name)) for run in runs if run.state_id}
        events = [record.event for record in await self.log.after(0, 100_000)]
        ids = sorted(str(event.id) for event in events if not isinstance(event, Notice))
        rolled_back = {str(event.announcement.event) for event in events if isinstance(event, Notice)}
        return Known(ids, rolled_back, counts, shown)

    async def beats(self, truth: Truth) -> set[tuple[str, int]]:
        return {(str(run.id), beat.occurred) for run in await self._runs(truth) for beat in run.beats}

    async def quarantined(self) -> int:
        counts = (await self.store.totals()).counts
        return sum(value for counter, value in counts.items() if counter.family is Family.QUARANTINED)

    async def _runs(self, truth: Truth) -> Iterable[RunState]:
        return (await self.store.runs([UUID(run) for run in truth.runs()])).values()


@asynccontextmanager
async def streaming(folder: Path, server: FakePrefect, *, ask_tables: bool) -> AsyncIterator[Streamer]:
    """Run the nets of a server into the store that is in the folder, for the length of the block."""
    instruments, intake = Instruments(), Intake()
    health, clock = SourceHealth("default", instruments), ServerClock(SystemClock())
    async with AsyncExitStack() as stack:
        store = SqliteStore.open(folder / "streamer.db")
        stack.push_async_callback(store.close)
        log = await Log.open(store)
        state = await log.open_source("default", identity=server.api_url, now=datetime.now(UTC))
        api = await stack.enter_async_context(Api(Connection(server.api_url, tls=TLS), clock, instruments))
        work = [
            LiveSource(Connection(server.api_url), health, clock, first_wait=0.02).run(intake.put),
            Sweep(api, store, health, state, history=timedelta(minutes=1), ages=AGES).run(intake.put),
            Pipeline(intake, log, instruments, health={"default": health}, observers=[health]).run(),
        ]
        if ask_tables:
            work.append(
                States(api, store, health, state, every=EVERY, settled=SETTLED, second_look=EVERY).run(intake.put)
            )
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(each) for each in work]
            yield Streamer(log, store, state.epoch, health)
            for task in running:
                task.cancel()


async def play(seed: int, folder: Path) -> None:
    """Play a seed's history, and hold what is known in the end against the truth."""
    structlog.contextvars.bind_contextvars(seed=seed)
    random = Random(f"{seed} history")
    stops, (ask_tables, spared) = random.random() < 1 / 3, MODES[seed % len(MODES)]
    truth, steps = Truth(ask_tables), plan(random, seconds=HISTORY_SECONDS, rolled_back=0.1 * ask_tables)
    async with FakePrefect(faults=Faults(seed, spared=spared)) as server:
        if stops:
            stop, start = len(steps) // 3, len(steps) // 2
            async with streaming(folder, server, ask_tables=ask_tables) as streamer:
                await until(streamer.is_live)
                await truth.play(steps[:stop], server)
            await truth.play(steps[stop:start], server)
            steps = steps[start:]
        async with streaming(folder, server, ask_tables=ask_tables) as streamer:
            await until(streamer.is_live)
            await truth.play(steps, server)
            await hold(streamer, truth, server)


async def hold(streamer: Streamer, truth: Truth, server: FakePrefect) -> None:
    """Wait for what is known to be the truth, and see that it stays so."""

    async def differences() -> list[str]:
        known = await streamer.known(truth)
        return truth.differences(known, streamer.epoch)

    async def is_known() -> bool:
        return streamer.log.size >= len(truth.announced()) and not await differences()

    with suppress(TimeoutError):
        await until(is_known, seconds=20)
        question = COMPARISON if truth.tables_tell else COUNT
        asked = server.requests.count(question)
        await until(lambda: streamer.is_live() and server.requests.count(question) > asked + 4)
    if found := await differences():
        pytest.fail("\n".join([*found, *(f"{times} times {what}" for what, times in server.faults.happened.items())]))
    assert streamer.is_live(), streamer.health.missing
    assert await streamer.beats(truth) <= truth.beats
    happened = server.faults.happened
    assert await streamer.quarantined() <= happened[Misfortune.TRUNCATED] + happened[Misfortune.CORRUPTED]


def name_of(seed: int) -> str:
    return f"seed-{seed:03}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plays(
    hurry: None, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[int, asyncio.Task[None]]]:
    """All seeds that were asked for, played at the same time."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def in_turn(seed: int) -> None:
        async with turns:
            await play(seed, tmp_path_factory.mktemp(name_of(seed)))

    asked = [item.name for item in request.session.items]
    tasks = {seed: asyncio.create_task(in_turn(seed)) for seed in SEEDS if any(name_of(seed) in name for name in asked)}
    yield tasks
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)


@pytest.mark.parametrize("seed", SEEDS, ids=name_of)
async def test_the_truth_is_known_in_the_end_whatever_goes_wrong(
    seed: int, plays: dict[int, asyncio.Task[None]]
) -> None:
    await plays[seed]
