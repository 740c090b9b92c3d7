"""SIGKILL at random moments under load: log, counters, runs and file are what they would have been."""

import random
import signal
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from schemas import Transition
from streamer.demo.server import PrefectServer
from streamer.demo.truth import Truth
from streamer.model import Family
from streamer.store.sqlite import SqliteStore
from tests.end_to_end.test_stopping import Load
from tests.running import RunningService, running

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(800)]

KILLS = 10
SEED = 7


def has_more(service: RunningService, than: int) -> bool:
    return len(service.ids()) > than


async def test_ten_kills_change_nothing(
    tmp_path_factory: pytest.TempPathFactory, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dice = random.Random(SEED)
    with PrefectServer(tmp_path_factory.mktemp("killed")) as prefect, running(folder, prefect.api_url) as service:
        with Load(prefect, most=200) as load:
            for _ in range(KILLS):
                service.wait_until(partial(has_more, service, len(service.ids()) + dice.randrange(1, 400)))
                service.stop(signal.SIGKILL)
                service.start()
        with closing(Truth(prefect.api_url)) as truth:
            service.wait_until(lambda: truth.total() == len(load.posted))
        service.wait_until(lambda: set(load.posted) == set(service.ids()))
        service.wait_until(lambda: service.counted("prefect_flow_run_transitions_total") == len(load.posted))
        assert service.stop() == 0
    store = SqliteStore.open(folder / ".streamer" / "streamer.db")
    await store.open_source("default", identity=prefect.api_url, now=datetime.now(UTC))
    records = [each for each in await store.after(0, 1_000_000) if isinstance(each.event, Transition)]
    totals = (await store.totals()).counts
    run = await store.run(UUID(load.run))
    await store.close()
    assert sorted(str(each.event.id) for each in records) == sorted(load.posted)
    counted = sum(value for counter, value in totals.items() if counter.family is Family.TRANSITIONS)
    assert counted == len(load.posted)
    assert run
    assert run.state_at == max(each.event.occurred for each in records)
    with capsys.disabled():
        repeated = len(service.ids()) - len(load.posted)
        print(f"\n{KILLS} kills under load: {len(load.posted)} events, each once in log and counters,")
        print(f"{repeated} lines of the file repeated")
