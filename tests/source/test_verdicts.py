"""Verdicts of a whole service on a fake server: suspected, confirmed, and only then given."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest

from schemas import Verdict
from streamer.service import Service
from streamer.source.verdicts import Verdicts
from streamer.testing import FakePrefect, an_event, until
from tests.frames import heartbeat
from tests.place import Place

QUICK = {"minimum": "0.5s", "factor": 1, "slack": "0.2s", "interval": "0.2s", "least": "0.05s"}
"""A run may be silent for 0.7 s."""


@pytest.fixture
async def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    defaults = Verdicts.__init__.__kwdefaults__
    assert defaults
    monkeypatch.setitem(defaults, "tick", 0.1)
    async with FakePrefect() as server:
        yield Place(tmp_path, server)


class Run:
    """A run of the fake server."""

    def __init__(self, server: FakePrefect, **changes: Any) -> None:
        self._server = server
        self.id = str(uuid4())
        server.publish(an_event(run=self.id, **changes))

    def beat(self, *, ago: float = 0, live: bool = True) -> None:
        moment = datetime.now(UTC) - timedelta(seconds=ago)
        content = heartbeat(self.id, occurred=moment)  # type: ignore[arg-type]
        self._server.publish(content, live=live)

    def move(self, before: str, after: str, **how: bool) -> None:
        self._server.publish(an_event(run=self.id, before=before, after=after), **how)


async def verdicts(service: Service) -> list[Verdict]:
    return [each.event for each in await service.core.log.after(0, 10_000) if isinstance(each.event, Verdict)]


async def statuses(service: Service, run: Run) -> list[str]:
    return [each.ruling.status.value for each in await verdicts(service) if str(each.run) == run.id]


def checks(service: Service, result: str) -> float:
    value = service.core.instruments.registry.get_sample_value(
        "prefect_streamer_zombie_checks_total", {"result": result}
    )
    return value or 0.0


async def test_run_that_falls_silent_is_a_zombie_once_and_one_that_beats_is_not(place: Place) -> None:
    async with place.running(liveness=QUICK) as service:
        dead, alive = Run(place.server), Run(place.server)
        dead.beat()

        async def named() -> bool:
            alive.beat()
            return bool(await verdicts(service))

        await until(named)
        (verdict,) = await verdicts(service)
        assert (str(verdict.run), verdict.ruling.status, verdict.ruling.reason) == (
            dead.id,
            "zombie",
            "heartbeat_missing",
        )
        assert verdict.flow
        assert (verdict.flow.name, str(verdict.ruling.incident)) == ("etl", dead.id)
        await until(lambda: str(verdict.id) in place.ids())
        async with httpx.AsyncClient(base_url=await service.started(), trust_env=False) as http:
            (shown,) = (await http.get("/api/zombies")).json()["runs"]
        assert (shown["id"], shown["verdict"]["status"], shown["flow"]["name"]) == (dead.id, "zombie", "etl")


async def test_beat_that_only_rest_knows_saves_the_run(place: Place) -> None:
    async with place.running(liveness=QUICK) as service:
        run = Run(place.server)
        run.beat()

        async def was_saved() -> bool:
            run.beat(live=False)
            return checks(service, "alive") > 1

        await until(was_saved)
        assert await verdicts(service) == []


async def test_run_that_has_ended_without_our_knowing_is_no_zombie(place: Place) -> None:
    async with place.running(liveness=QUICK) as service:
        run = Run(place.server)
        run.beat()
        run.move("RUNNING", "COMPLETED", live=False, stored=False)
        await until(lambda: checks(service, "terminal"))
        assert await verdicts(service) == []


async def test_zombie_that_beats_again_has_recovered_and_may_die_again(place: Place) -> None:
    async with place.running(liveness=QUICK) as service:
        run = Run(place.server)
        for number in (1, 2):
            run.beat()
            await until(lambda wanted=2 * number - 1: _has(service, run, wanted))  # type: ignore[misc]
            run.beat()
            await until(lambda wanted=2 * number: _has(service, run, wanted))  # type: ignore[misc]
        assert await statuses(service, run) == ["zombie", "recovered"] * 2
        assert await service.core.store.find_runs(judged=True) == []


async def test_zombie_that_moves_on_has_recovered_and_one_that_ends_has_not(place: Place) -> None:
    async with place.running(liveness=QUICK) as service:
        resumed, ended = Run(place.server), Run(place.server)
        for run in (resumed, ended):
            run.beat()
        await until(lambda: _has(service, resumed, 1))
        await until(lambda: _has(service, ended, 1))
        resumed.move("RUNNING", "SCHEDULED")
        ended.move("RUNNING", "CRASHED")
        await until(lambda: _has(service, resumed, 2))
        assert await statuses(service, resumed) == ["zombie", "recovered"]
        assert await statuses(service, ended) == ["zombie"]
        assert await service.core.store.find_runs(judged=True) == []


async def test_beats_after_a_crash_are_undead_once(place: Place) -> None:
    async with place.running(liveness={**QUICK, "minimum": "1h"}) as service:
        run = Run(place.server)
        run.beat()
        await until(lambda: _tracks(service, run))
        run.move("RUNNING", "CRASHED")

        async def beats_on() -> bool:
            run.beat()
            return await _has(service, run, 1)

        await until(beats_on)
        await until(beats_on)
        assert await statuses(service, run) == ["undead"]


async def test_silence_while_we_are_blind_is_held_against_nobody(place: Place) -> None:
    async with place.running(liveness={**QUICK, "minimum": "3s"}) as service:
        run = Run(place.server)
        run.beat()
        await until(lambda: _tracks(service, run))
        place.server.upgrade_status = 401  # what says that credentials are wrong: no REST-only mode either
        place.server.disconnect(1012)
        await until(lambda: not service.core.health["default"].connected)
        blind_from = service.core.clock.monotonic()
        await until(lambda: service.core.clock.monotonic() - blind_from > 4)
        assert await verdicts(service) == []
        assert checks(service, "confirmed") == 0


async def test_verdict_is_not_repeated_by_a_restart_and_recovery_is_seen_after_it(place: Place) -> None:
    async with place.running(liveness=QUICK) as service:
        run = Run(place.server)
        run.beat()
        await until(lambda: _has(service, run, 1))
    async with place.running(liveness=QUICK) as service:
        sister = Run(place.server)
        sister.beat()
        await until(lambda: _has(service, sister, 1))
        assert await statuses(service, run) == ["zombie"]
        run.beat()
        await until(lambda: _has(service, run, 2))
        assert await statuses(service, run) == ["zombie", "recovered"]


async def test_run_without_beats_is_suspect_only_if_its_flow_sends_some(place: Place) -> None:
    async with place.running(liveness=QUICK) as service:
        mute, beating = Run(place.server), Run(place.server)
        beating.beat()

        async def named() -> bool:
            beating.beat()
            return await _has(service, mute, 1)

        await until(named)
        assert await statuses(service, mute) == ["suspect"]
        assert await statuses(service, beating) == []


@pytest.mark.parametrize(("state", "rule"), [("PENDING", "pending_too_long"), ("CANCELLING", "cancelling_too_long")])
async def test_run_that_is_too_long_in_a_state_is_overdue(place: Place, state: str, rule: str) -> None:
    async with place.running(liveness={rule: "0.1s"}) as service:
        run = Run(place.server, before=None, after=state)
        await until(lambda: _has(service, run, 1))
        (verdict,) = await verdicts(service)
        assert (verdict.ruling.status, verdict.ruling.reason) == ("overdue", rule)


async def test_scheduled_run_is_late_only_after_it_was_due(place: Place) -> None:
    async with place.running(liveness={"scheduled_late": "0.1s"}) as service:
        later, late = (
            Run(place.server, before=None, after="SCHEDULED"),
            Run(place.server, before=None, after="SCHEDULED"),
        )
        place.server.tables.runs[later.id]["expected_start_time"] = _iso(timedelta(hours=1))
        place.server.tables.runs[late.id]["expected_start_time"] = _iso(timedelta(seconds=-1))
        await until(lambda: _has(service, late, 1))
        assert await statuses(service, later) == []


async def test_subflow_names_the_run_at_the_root_of_its_tree(place: Place) -> None:
    async with place.running(liveness=QUICK) as service:
        root, task_run = Run(place.server), str(uuid4())
        place.server.tables.parents[task_run] = root.id
        role = {"prefect.resource.id": f"prefect.task-run.{task_run}", "prefect.resource.role": "task-run"}
        child = Run(place.server, related=[role])
        for run in (root, child):
            run.beat()
        await until(lambda: _has(service, child, 1))
        await until(lambda: _has(service, root, 1))
        assert {str(each.ruling.incident) for each in await verdicts(service)} == {root.id}


@pytest.mark.parametrize(("dry_run", "result", "state"), [(True, "dry_run", "RUNNING"), (False, "ok", "CRASHED")])
async def test_acting_is_said_and_done_only_if_wanted(place: Place, dry_run: bool, result: str, state: str) -> None:
    async with place.running(liveness={**QUICK, "on_zombie": "crash", "dry_run": dry_run, "emit": True}) as service:
        run = Run(place.server)
        run.beat()
        await until(lambda: _has(service, run, 2))
        zombie, acted = await verdicts(service)
        assert (acted.ruling.status, acted.ruling.action, acted.ruling.result) == ("acted", "crash", result)
        assert place.server.tables.runs[run.id]["state_type"] == state
        (posted,) = place.server.posted
        assert (posted["id"], posted["event"]) == (str(zombie.id), "streamer.flow-run.zombie")


async def test_run_that_comes_back_before_the_last_check_is_left_alone(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = {**QUICK, "on_zombie": "crash", "dry_run": False, "emit": True}
    run: Run | None = None

    async def emit_while_the_run_comes_back(*_: object) -> None:
        assert run
        run.beat(live=False)

    monkeypatch.setattr("streamer.source.verdicts.emit", emit_while_the_run_comes_back)
    async with place.running(liveness=wanted) as service:
        run = Run(place.server)
        run.beat()
        await until(lambda: _has(service, run, 2))
        assert await statuses(service, run) == ["zombie", "recovered"]
        assert place.server.tables.runs[run.id]["state_type"] == "RUNNING"


async def test_verdict_is_ours_to_give(place: Place) -> None:
    """What claims to be a verdict and comes from outside is refused."""
    async with place.running(liveness=QUICK) as service:
        run = Run(place.server)
        run.beat()
        await until(lambda: _has(service, run, 1))
        (verdict,) = await verdicts(service)
        place.server.send(orjson.dumps({"type": "event", "event": {**orjson.loads(verdict.raw), "id": str(uuid4())}}))
        await until(lambda: _quarantined(service))
        assert len(await verdicts(service)) == 1


async def _quarantined(service: Service) -> bool:
    return bool(await service.core.store.refused())


async def _has(service: Service, run: Run, number: int) -> bool:
    return len(await statuses(service, run)) >= number


async def _tracks(service: Service, run: Run) -> bool:
    runs = await service.core.store.find_runs()
    return any(str(each.id) == run.id and each.beats for each in runs)


def _iso(later: timedelta) -> str:
    return (datetime.now(UTC) + later).isoformat()
