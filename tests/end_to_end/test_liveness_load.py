"""Many runs that beat, fifty of which stop at random moments, among misfortunes: exactly those are named, once each."""

import asyncio
import json
import signal
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import cycle, pairwise
from pathlib import Path
from random import Random
from statistics import median
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest
from starlette.responses import Response

from streamer.demo.server import PrefectServer
from streamer.sinks.lines_file import whole_lines
from streamer.testing import FakePrefect, an_event
from tests import patient
from tests.frames import heartbeat, related
from tests.running import RunningService, running

pytestmark = [pytest.mark.end_to_end, pytest.mark.load, pytest.mark.timeout(300)]

SILENCE = 18.0
LIMITS = json.dumps({"minimum": "15s", "factor": 1.5, "slack": "3s", "interval": "10s", "least": "1s"})
DOOMED = 50

Naming = tuple[str, str, float]
"""A run, what it is held to be, and when that was said."""


def namings(service: RunningService) -> list[Naming]:
    """Return all verdicts, in order."""
    lines = whole_lines(service.file)
    verdicts = [orjson.loads(line) for line in lines if b'"kind":"verdict"' in line]
    return [
        (each["flow_run"]["id"], each["verdict"]["status"], datetime.fromisoformat(each["occurred"]).timestamp())
        for each in verdicts
    ]


def check(service: RunningService, died: dict[str, float], *, disturbed: float) -> str:
    """Require that who died was named, once, and nobody else; return how long that took, as a sentence."""
    said = namings(service)
    assert sorted((run, status) for run, status, _ in said) == sorted((run, "zombie") for run in died)
    every = [at - died[run] for run, _, at in said]
    calm = [at - died[run] for run, _, at in said if at < disturbed] or [0.0]
    return (
        f"from death to verdict median {median(every):.1f} s, longest {max(every):.1f} s;"
        f" of the {len(calm)} before anything went wrong {median(calm):.1f} s and {max(calm):.1f} s"
    )


def end(service: RunningService) -> None:
    """End a service in whatever state it is."""
    if service.process and service.process.poll() is None:
        service.process.kill()
        service.process.wait()


class Fleet:
    """Runs on a fake server that beat every so often, by clocks that are wrong, ways that delay and repeat."""

    def __init__(self, server: FakePrefect, size: int, *, every: float) -> None:
        self.server = server
        self.random = Random("fleet")
        self.every = every
        self.runs = [str(uuid4()) for _ in range(size)]
        self.ahead = {run: timedelta(seconds=self.random.choice((0, 0, -600, 600, 300))) for run in self.runs}
        self.died: dict[str, float] = {}
        self.sent = 0
        self.hears = True
        self.up = True
        self._flow = an_event()["related"]
        self._kept = 0

    def start(self) -> None:
        """Let all enter RUNNING."""
        self.server.publish(*(an_event(run=run) for run in self.runs))
        self._kept = len(self.server.events)
        self.server.events += [{}] * len(self.runs)
        for number, run in enumerate(self.runs):
            self._arrive(number, self._beat_of(run), 0)

    def kill(self, number: int) -> None:
        """Let so many stop, without a word."""
        living = [run for run in self.runs if run not in self.died]
        for run in self.random.sample(living, number):
            self.died[run] = time.time()

    async def beat(self) -> None:
        """Beat, for ever: a tenth of the runs at a time, in a new order each time."""
        slices = [list(enumerate(self.runs))[start::10] for start in range(10)]
        due = time.monotonic()
        while True:
            for some in slices:
                self.random.shuffle(some)
                for number, run in some:
                    if run not in self.died:
                        self._send(number, run)
                due += self.every / 10
                await asyncio.sleep(max(0.0, due - time.monotonic()))

    def _beat_of(self, run: str) -> dict[str, Any]:
        now = datetime.now(UTC)
        return heartbeat(run, occurred=now + self.ahead[run], received=now, related=self._flow, id=uuid4())  # type: ignore[arg-type]

    def _send(self, number: int, run: str) -> None:
        event, fate = self._beat_of(run), self.random.random()
        if fate < 0.02:
            late = self.random.uniform(0.5, 6)
            asyncio.get_running_loop().call_later(late, self._arrive, number, event, late)
        else:
            self._arrive(number, event, 0)
            if fate < 0.04:
                self._arrive(number, event, 0)

    def _arrive(self, number: int, event: dict[str, Any], late: float) -> None:
        if not self.up:
            return
        if late:
            event["received"] = datetime.now(UTC).isoformat()
        place = self._kept + number
        if event["occurred"] > self.server.events[place].get("occurred", ""):
            self.server.events[place] = event  # of each run REST is asked for the newest only
        self.sent += 1
        if self.hears:
            self.server.send(orjson.dumps({"type": "event", "event": event}))


async def test_of_5000_runs_exactly_the_50_that_stopped_are_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with FakePrefect() as server:
        fleet, service = (
            Fleet(server, 5_000, every=1),
            RunningService(folder, server.api_url, STREAMER_LIVENESS=LIMITS),
        )
        fleet.start()
        beating = asyncio.create_task(fleet.beat())
        try:
            await asyncio.to_thread(service.start)
            disturbed = await _go_through_misfortunes(server, fleet, service)
            await asyncio.to_thread(service.wait_until, lambda: len(namings(service)) >= DOOMED, seconds=6 * SILENCE)
            await asyncio.sleep(SILENCE)  # whoever would be named twice, or falsely, is named by then
            figures = check(service, fleet.died, disturbed=disturbed)
        finally:
            beating.cancel()
            await asyncio.to_thread(end, service)
        with capsys.disabled():
            print(f"\n5,000 runs, {fleet.sent} beats: {figures}")


async def _go_through_misfortunes(server: FakePrefect, fleet: Fleet, service: RunningService) -> float:
    """Stop and continue, kill and restart the service, take the server away and back; return when that began."""
    await _die_during(fleet, 15, 5)
    await asyncio.to_thread(service.wait_until, lambda: len(namings(service)) == 15)
    disturbed = time.time()
    assert service.process
    fleet.hears = False  # the server's queue for a subscriber who stands still holds 256: all the rest is lost
    service.process.send_signal(signal.SIGSTOP)
    await _die_during(fleet, 10, SILENCE + 5)
    service.process.send_signal(signal.SIGCONT)
    fleet.hears = True
    await _die_during(fleet, 5, 3)
    await asyncio.to_thread(service.stop, signal.SIGKILL)
    await _die_during(fleet, 5, 3)
    await asyncio.to_thread(service.start)
    await _die_during(fleet, 5, 3)
    fleet.up, server.upgrade_status = False, 503
    server.disconnect(1012)
    server.rest_failures = [Response(status_code=503) for _ in range(10_000)]
    await _die_during(fleet, 5, 30)
    fleet.up, server.upgrade_status, server.rest_failures = True, None, []
    await _die_during(fleet, 5, 5)
    return disturbed


async def _die_during(fleet: Fleet, number: int, seconds: float) -> None:
    """Let so many stop at random moments of a time."""
    moments = sorted(fleet.random.uniform(0, seconds) for _ in range(number))
    for pause in [later - earlier for earlier, later in pairwise([0, *moments])]:
        await asyncio.sleep(pause)
        fleet.kill(1)
    await asyncio.sleep(seconds - moments[-1])


class Pulse:
    """Runs of a real server that beat every two seconds, posted by a thread; what it does not take is lost."""

    def __init__(self, server: PrefectServer, number: int) -> None:
        self.url = server.api_url
        self.died: dict[str, float] = {}
        self.random = Random("pulse")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work)
        with patient.client(base_url=self.url) as http:
            self.flow = _post(http, "/flows/", {"name": "pulse"})["id"]
            self.runs = [self._running(http) for _ in range(number)]

    def __enter__(self) -> "Pulse":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def kill(self, number: int, seconds: float) -> None:
        """Let so many stop at random moments of a time."""
        start = time.monotonic()
        for moment in sorted(self.random.uniform(0, seconds) for _ in range(number)):
            time.sleep(max(0.0, start + moment - time.monotonic()))
            self.died[self.random.choice([run for run in self.runs if run not in self.died])] = time.time()

    def _running(self, http: httpx.Client) -> str:
        run: str = _post(http, "/flow_runs/", {"flow_id": self.flow, "name": "pulse"})["id"]
        state = {"type": "RUNNING", "name": "Running"}
        _post(http, f"/flow_runs/{run}/set_state", {"state": state, "force": True})
        return run

    def _work(self) -> None:
        flow = related("flow", f"prefect.flow.{self.flow}", name="pulse")
        with patient.client(base_url=self.url) as http:
            for start in cycle(range(4)):
                if self._stop.wait(0.4):
                    return
                self._post(http, [run for run in self.runs[start::4] if run not in self.died], flow)

    def _post(self, http: httpx.Client, runs: Iterable[str], flow: dict[str, Any]) -> None:
        now = datetime.now(UTC)
        beats = [heartbeat(run, occurred=now, related=[flow], id=uuid4()) for run in runs]  # type: ignore[arg-type]
        with suppress(httpx.HTTPError):
            http.post("/events", json=beats)


def _post(http: httpx.Client, endpoint: str, body: dict[str, Any]) -> dict[str, Any]:
    """Post as Prefect's client does: again, while the server's database is locked."""
    while (answer := http.post(endpoint, json=body)).status_code == httpx.codes.SERVICE_UNAVAILABLE:
        time.sleep(0.1)
    result: dict[str, Any] = answer.raise_for_status().json()
    return result


def test_of_200_runs_on_a_real_server_exactly_the_50_that_stopped_are_named(
    tmp_path_factory: pytest.TempPathFactory, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        PrefectServer(tmp_path_factory.mktemp("pulse")) as prefect,
        running(folder, prefect.api_url, STREAMER_LIVENESS=LIMITS) as service,
        Pulse(prefect, 200) as pulse,
    ):
        service.wait_until(lambda: service.counted("prefect_flow_run_heartbeats_total") > 5 * len(pulse.runs))
        pulse.kill(30, SILENCE / 2)
        service.wait_until(lambda: namings(service))
        disturbed = time.time()
        prefect.stop()
        pulse.kill(10, 10)
        prefect.start()
        pulse.kill(10, 10)
        service.wait_until(lambda: len(namings(service)) >= DOOMED, seconds=6 * SILENCE)
        time.sleep(SILENCE)  # whoever would be named twice, or falsely, is named by then
        figures = check(service, pulse.died, disturbed=disturbed)
    with capsys.disabled():
        print(f"\n200 runs on a real server: {figures}")
