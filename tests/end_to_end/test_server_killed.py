"""SIGKILL of a real server under a load of real runs: we hold the states of its runs, whatever it announced."""

import signal
import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from schemas import Transition
from streamer.demo.server import PrefectServer
from streamer.demo.truth import Truth
from streamer.model import Family
from streamer.sinks.lines_file import whole_lines
from streamer.testing import an_event
from tests import patient
from tests.running import RunningService, running
from tests.stored import stored

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(400)]

BETWEEN_KILLS = 30
"""So many runs begin before each kill."""

PAGE_SIZE = 200
ON_THE_WAY = "SCHEDULED", "PENDING", "RUNNING"
LAST_STATES = "COMPLETED", "FAILED", "CRASHED", "CANCELLED"

LATE_WRITER = {"PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "1000"}
"""The server writes events every 5 s, however many: a kill costs it what it announced since."""


class RealRuns:
    """Take flow runs through their states on a real server, as fast as it can; go on when it is back from a kill.

    One request at a time is as fast: while two write at once, a server on SQLite may stall for a minute.
    """

    def __init__(self, server: PrefectServer) -> None:
        self.begun = 0
        self._http = patient.client(base_url=server.api_url)
        self._one_at_a_time = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> "RealRuns":
        self._flow = self._ask("/flows/", {"name": "hardy"})["id"]
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._http.close()

    def begin(self, first: str, *states: str) -> str:
        """Create a run, and take it through these states; return its id."""
        body = {"flow_id": self._flow, "state": {"type": first}}
        run = str(self._ask("/flow_runs/", body).get("id"))
        self.begun += 1
        self.take(run, states)
        return run

    def take(self, run: str, states: Sequence[str]) -> None:
        """Take a run through these states."""
        for state in states:
            self._ask(f"/flow_runs/{run}/set_state", {"state": {"type": state}})

    def announce_and_roll_back(self) -> str:
        """Leave what a rolled-back transaction leaves: an event that is no state; return its id."""
        run = self.begin("PENDING", "RUNNING")
        follows = self._http.get(f"/flow_runs/{run}").raise_for_status().json()["state_id"]
        phantom = an_event(run=run, before="RUNNING", after="FAILED", follows=follows)
        self._http.post("/events", json=[phantom]).raise_for_status()
        self.take(run, ["COMPLETED"])
        return str(phantom["id"])

    def _work(self) -> None:
        while not self._stop.is_set():
            self.begin(*ON_THE_WAY[self.begun % 2 :], LAST_STATES[self.begun % 4])

    def _ask(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Ask until there is an answer, as Prefect's client does: what was done, and not answered, is asked twice."""
        while not self._stop.is_set():
            try:
                with self._one_at_a_time:
                    answer: dict[str, Any] = self._http.post(path, json=body).raise_for_status().json()
                    return answer
            except httpx.HTTPError:
                self._stop.wait(0.1)  # the pace of asking
        return {}


def states_by_run(api_url: str) -> dict[str, dict[str, str]]:
    """Return id and type of all states of all runs, as the server tells them."""
    with patient.client(base_url=api_url) as http:
        found = {}
        for run in every_run(http):
            states = http.get("/flow_run_states/", params={"flow_run_id": run}).raise_for_status().json()
            found[run] = {state["id"]: state["type"] for state in states}
        return found


def every_run(http: httpx.Client) -> list[str]:
    runs: list[str] = []
    while True:
        body = {"limit": PAGE_SIZE, "offset": len(runs), "sort": "ID_DESC"}
        page = http.post("/flow_runs/filter", json=body).raise_for_status().json()
        runs += [run["id"] for run in page]
        if len(page) < PAGE_SIZE:
            return runs


def announced(api_url: str) -> set[str]:
    truth = Truth(api_url)
    ids = {event["id"] for event in truth.events()}
    truth.close()
    return ids


def disowned(service: RunningService) -> set[str]:
    """Return the ids of transitions that a notice calls phantoms, or whose whole run was rolled back and is gone."""
    lines = [orjson.loads(line) for line in whole_lines(service.file)]
    notices = [line for line in lines if line["kind"] == "notice"]
    phantoms = {line["notice"]["event"] for line in notices if line["notice"]["about"] == "phantom"}
    gone = {line["flow_run"]["id"] for line in notices if line["notice"]["about"] == "deleted"}
    transitions = [line for line in lines if line["kind"] == "transition"]
    return {line["id"] for line in transitions if line["id"] in phantoms or line["flow_run"]["id"] in gone}


def more_runs(service: RunningService, load: RealRuns) -> None:
    enough = load.begun + BETWEEN_KILLS
    service.wait_until(lambda: load.begun >= enough)


async def test_states_are_those_of_a_server_that_was_killed_in_mid_burst(
    tmp_path_factory: pytest.TempPathFactory, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        PrefectServer(tmp_path_factory.mktemp("server-killed"), LATE_WRITER) as prefect,
        running(folder, prefect.api_url, STREAMER_RESYNC="2s") as service,
    ):
        with RealRuns(prefect) as load:
            rolled_back = load.announce_and_roll_back()
            more_runs(service, load)
            service.wait_until(lambda: rolled_back in service.ids())
            prefect.stop(signal.SIGKILL)
            prefect.start()
            more_runs(service, load)
            assert service.stop() == 0
            waiting = {load.begin(*ON_THE_WAY[: n + 1]): ON_THE_WAY[n + 1 :] for n in range(len(ON_THE_WAY))}
            more_runs(service, load)  # of these, and of those that wait, only the server's tables know
            prefect.stop(signal.SIGKILL)
            prefect.start()
            service.start()
            for run, states in waiting.items():
                load.take(run, [*states, "COMPLETED"])
            more_runs(service, load)
        theirs = states_by_run(prefect.api_url)
        real = {ident for states in theirs.values() for ident in states}
        service.wait_until(lambda: real <= set(service.ids()))
        phantoms = set(service.ids()) - real
        service.wait_until(lambda: disowned(service) == phantoms)
        unannounced = real - announced(prefect.api_url)
        repaired = service.counted("prefect_streamer_events_recovered_total")
        marked = service.counted("prefect_streamer_phantom_events_total")
        assert service.stop() == 0
    records, counts = await stored(service)
    transitions = [each.event for each in records if isinstance(each.event, Transition)]
    ours: dict[str, dict[str, str]] = defaultdict(dict)
    for event in transitions:
        if str(event.id) not in phantoms:
            ours[str(event.run)][str(event.id)] = event.to_type.value
    assert ours == theirs
    assert rolled_back in phantoms
    assert counts[Family.TRANSITIONS] == len(real | phantoms)
    assert sorted(str(event.id) for event in transitions) == sorted(real | phantoms), "an id is there twice"
    assert sorted(service.ids()) == sorted(real | phantoms), "a line is there twice"
    assert unannounced, "the kills cost the server no event"
    with capsys.disabled():
        print(f"\n2 kills of the server: {len(theirs)} runs, {len(real)} states, each in log and file once;")
        print(f"{len(unannounced)} without an event on the server, {repaired} recovered by sweep and states, and")
        print(f"{len(phantoms)} that are none, one of them made by this test; {marked} marked as phantoms")
