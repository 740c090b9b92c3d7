"""Our service as a process in a simulated world: the real watch, tracker, checks and verdicts; nets in virtual time."""

from collections.abc import Callable
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any, cast

import orjson

from streamer.clock import ServerClock
from streamer.errors import ConnectionLost
from streamer.health import AFTER_CONNECT, SourceHealth
from streamer.instruments import Instruments
from streamer.liveness import Tracker
from streamer.model import Frame, Item, Mark, Net, Store
from streamer.protocol import Outcome
from streamer.source.acting import Acting
from streamer.source.api import Api
from streamer.source.verdicts import Verdicts
from streamer.watch import Watch
from tests.frames import Json
from tests.worlds.memory import SOURCE, Memory
from tests.worlds.server import Server
from tests.worlds.world import World

SWEEPS_EVERY = 10.0
REREAD = timedelta(seconds=60)
LIVE_REACH = timedelta(minutes=15)
"""What occurred earlier, before a websocket opened, is not sent on it (prefect.md 31)."""

QUEUE = 256


class Killed(BaseException):
    """The process ended in the middle of something."""


class Local:
    """The machine's own clock; when the machine sleeps its monotonic one stands still."""

    def __init__(self, world: World, ahead: float) -> None:
        self._world = world
        self._ahead = timedelta(seconds=ahead)
        self.slept = 0.0

    def now(self) -> datetime:
        """Return what this machine holds to be the time."""
        return self._world.now() + self._ahead

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return 1000 + self._world.time - self.slept


class Rest(Api):
    """The client of the server's REST, without the wire: each request takes its time, and some fail."""

    def __init__(self, process: "Process", clock: ServerClock) -> None:  # no client, no connection
        self.clock = clock
        self._process = process

    async def request(self, method: str, endpoint: str, **content: Any) -> bytes:
        """Answer as the server does, when it does."""
        return self._process.request(endpoint, content["json"])


class Process:
    """`live_loss` is the share of live messages that are lost; requests fail and are slow now and then."""

    def __init__(self, world: World, server: Server) -> None:
        self.world = world
        self.server = server
        self.store = Memory()
        self.live_loss = 0.0
        self.live_delay = 1.0
        self.rest_failures = 0.0
        self.rest_seconds = 0.2
        self.blind_at: list[float] = []
        self.stopped_until: float | None = None
        self.life = 0
        self._connection = 0
        self._deferred: list[Callable[[], None]] = []
        self._lagged_at = -1000.0
        self._read_until = self._connected_at = world.now()
        self.websocket = True
        server.listener = self._live

    def start(self) -> None:
        """Start a process on the store of the one before."""
        self.life += 1
        self.stopped_until, self._deferred = None, []
        self.local = Local(self.world, ahead=self.world.random.uniform(-900, 900))
        self.clock = ServerClock(self.local)
        self.clock.observe(self._date())
        self.health = SourceHealth(SOURCE, Instruments(), clock=self.clock)
        self.watch = Watch(Tracker(), self.health, self.clock, self.health.instruments)
        api = Rest(self, self.clock)
        self.verdicts = Verdicts(api, cast("Store", self.store), self.health, self.watch, Acting())
        self.watch.load(self.store.unfinished())
        self._connect()
        self._sweep()

    def kill(self, seconds: float) -> None:
        """End without a word, and be started anew after so many seconds."""
        self.world.note(f"we are killed for {seconds:.0f} s")
        self._blind()
        self.life += 1
        self._connection += 1
        self.stopped_until = self.world.time + seconds
        self._deferred = [self.start]
        self.world.after(seconds, self._go_on)

    def stop(self, seconds: float, *, asleep: bool = False, is_cut: bool = False) -> None:
        """Stand still for so many seconds, or let the whole machine sleep; the connection may be cut meanwhile."""
        self.world.note(f"we are {'asleep' if asleep else 'stopped'} for {seconds:.0f} s")
        self._blind()
        self.stopped_until = self.world.time + seconds
        if asleep:
            self.local.slept += seconds
        if is_cut:
            self.disconnect()
        self.world.after(seconds, self._go_on)

    def disconnect(self) -> None:
        """Lose the websocket, and have a new one a little later."""
        self._connection += 1
        self._later(0, self._lose_connection)

    async def look(self) -> None:
        """Do what is done each second; the process may end in the middle of it."""
        if self.stopped_until is not None:
            self._blind()
            return
        if not self.health.is_ready or self.world.time - self._lagged_at < 12:
            self._blind()
        try:
            await self.verdicts.look(self.put)
        except Killed:
            self.world.note("killed in the middle of a check")

    async def put(self, item: Item) -> None:
        """Take what a net puts, and commit it at once."""
        if isinstance(item, Frame):
            self._commit(item.net, item.data)
        elif isinstance(item, Mark) and item.reached:
            item.reached()

    def request(self, endpoint: str, body: Json) -> bytes:
        """Ask the server, which takes a while in which much may happen."""
        life, random = self.life, self.world.random
        self._wait(random.uniform(0, 2 * self.rest_seconds), life)
        if not self.server.up or self.world.chance(self.rest_failures):
            raise ConnectionLost("no answer")
        answer = self.server.answer(endpoint, body)
        self._wait(random.uniform(0, 0.2), life)
        self.clock.observe(self._date())
        return answer

    def _wait(self, seconds: float, life: int) -> None:
        until = self.world.time + seconds
        while self.life == life and (self.stopped_until is not None or self.world.time < until):
            self.world.run_until(self.stopped_until or min(until, self.world.time + 1))
            if self.stopped_until is None and self.life == life:
                self.watch.look()
        if self.life != life:
            raise Killed

    def _go_on(self) -> None:
        if self.stopped_until is None or self.world.time < self.stopped_until:
            return
        self._blind()
        self.stopped_until = None
        for do in self._deferred:
            self.world.after(self.world.random.uniform(0, 1.5), do)
        self._deferred = []

    def _later(self, seconds: float, do: Callable[[], None]) -> None:
        """Do something in a while, unless the process ended by then; when it stands still, when it goes on."""
        life = self.life

        def now() -> None:
            if self.life != life:
                return
            if self.stopped_until is None:
                do()
            elif len(self._deferred) < QUEUE:
                self._deferred.append(now)

        self.world.after(seconds, now)

    def _lose_connection(self) -> None:
        if self.health.connected:
            self._blind()
            self.health.closed("1012", "gone")
            self._later(self.world.random.uniform(0.5, 20), self._connect)

    def _connect(self) -> None:
        if not self.server.up or not self.websocket:
            self.health.failed(Outcome.REFUSED, "refused")
            self._later(self.world.random.uniform(1, 15), self._connect)
            return
        self._connection += 1
        self.health.open()
        self._connected_at = self.world.now()
        since, connection = min(self._read_until, self.world.now() - REREAD), self._connection
        for seconds in AFTER_CONNECT:
            self._later(seconds + 0.2, lambda: self._reread(since, connection))

    def _reread(self, since: datetime, connection: int) -> None:
        """Read all that occurred since we were last sure to know everything."""
        if connection == self._connection and self.server.up:
            self._read(since, beats=True)
            self.health.moved(self.world.now(), complete=True)

    def _sweep(self) -> None:
        """Read what was not heard: transitions, found by counting; beats only while there is no websocket."""
        self._later(SWEEPS_EVERY, self._sweep)
        if self.server.up:
            self.clock.observe(self._date())
            self._read(min(self._read_until, self.world.now() - REREAD), beats=not self.health.connected)
            self._read_until = self.world.now() - REREAD / 2
            self.health.moved(self.world.now(), complete=False)

    def _read(self, since: datetime, *, beats: bool) -> None:
        for event in self.server.events_since(since, beats=beats):
            self._commit(Net.SWEEP, orjson.dumps(event))

    def _live(self, event: Json) -> None:
        """Be sent an event over the websocket, if there is one, and if it is not lost on the way."""
        if not self.health.connected or self.world.chance(self.live_loss):
            return
        if datetime.fromisoformat(event["occurred"]) < self._connected_at - LIVE_REACH:
            return
        connection, raw, received = self._connection, orjson.dumps(event), self.world.time

        def hear() -> None:
            if connection != self._connection:
                return
            if self.world.time - received > 9:
                self._lagged_at = self.world.time
                self._blind()
            self._commit(Net.LIVE, raw)

        for _ in range(1 + self.world.chance(0.05)):
            self._later(self.world.random.uniform(0, self.live_delay), hear)

    def _commit(self, net: Net, raw: bytes) -> None:
        appended = self.store.append(raw)
        if appended.records or appended.beats:
            self.watch.committed(SOURCE, net, appended)

    def _blind(self) -> None:
        self.blind_at.append(self.world.time)

    def _date(self) -> str:
        return format_datetime(self.world.now(), usegmt=True)
