"""The runs of a simulated world, and their beats: sent by a clock that may be wrong, over a way that may be bad."""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from schemas import StateType
from tests.frames import Json, heartbeat
from tests.worlds.server import Server
from tests.worlds.world import World

FIRST_BEAT_AFTER = 0.05
RETRY_LIMIT = 600.0


class Fate(StrEnum):
    """What becomes of a run."""

    LIVES = "lives"
    ENDS = "ends"
    DIES = "dies"
    RETRIES = "retries"
    DIES_WAITING = "dies while it waits for a retry"
    PAUSES = "pauses"
    IS_CUT_OFF = "is cut off for long"


@dataclass
class Plan:
    """One run: when it starts, what befalls it when, and how its sender is."""

    fate: Fate
    flow: str
    interval: float
    starts: float
    turns: float
    lasts: float
    ahead: float = 0.0
    steps: list[tuple[float, float]] = field(default_factory=list)
    late_share: float = 0.0


class Sender:
    """The process of a run; `silent_since` is when its last beat was sent, once it is dead."""

    def __init__(self, world: World, server: Server, plan: Plan) -> None:
        self.plan = plan
        self.id = str(UUID(int=world.random.getrandbits(128), version=4))
        self.last_sent = plan.starts
        self.beats = 0
        self.turned = False
        self._world = world
        self._server = server
        self._ahead = plan.ahead
        self._beating = 0
        self.is_cut_off = False
        self._held: list[Json] = []
        self._was_late = False
        world.at(plan.starts, self._start)
        world.at(plan.turns, self._turn)
        for moment, ahead in plan.steps:
            world.at(moment, lambda ahead=ahead: self._set_clock(ahead))  # type: ignore[misc]

    @property
    def is_dead(self) -> bool:
        """Tell whether the process has died without a word."""
        return self.turned and self.plan.fate in (Fate.DIES, Fate.DIES_WAITING)

    def _start(self) -> None:
        self._enter(None, "PENDING")
        self._world.after(0.5, lambda: self._go_on("PENDING", 1))

    def _turn(self) -> None:
        """Let what is fated happen."""
        self.turned = True
        random, fate = self._world.random, self.plan.fate
        if fate is Fate.LIVES:
            return
        self._world.note(f"{self.id} {fate}")
        if fate is Fate.IS_CUT_OFF:
            self.is_cut_off = True
            self._world.after(self.plan.lasts, self._reconnect)
            return
        if fate is Fate.PAUSES and random.random() < 0.5:  # and beats on, as in-process pauses do
            self._enter("RUNNING", "PAUSED")
        else:
            self._beating += 1
        if fate is Fate.PAUSES:
            self._enter("RUNNING", "PAUSED")
            self._world.after(self.plan.lasts, lambda: self._go_on("PAUSED", 1))
        elif fate is Fate.ENDS:
            self._enter("RUNNING", random.choice([each.value for each in StateType if each.is_terminal]))
        elif fate in (Fate.RETRIES, Fate.DIES_WAITING):
            due = self._world.now() + timedelta(seconds=self.plan.lasts)
            self._server.tables.due[self.id] = due.isoformat()
            self._enter("RUNNING", "SCHEDULED", name="AwaitingRetry")
            if fate is Fate.RETRIES:
                self._world.after(self.plan.lasts, lambda: self._go_on("SCHEDULED", 2))

    def _go_on(self, before: str, attempt: int) -> None:
        self._enter(before, "RUNNING", run_count=attempt)
        self._beating += 1
        self._beat_on(FIRST_BEAT_AFTER)

    def _enter(self, before: str | None, after: str, **how: object) -> None:
        self._server.enter(self.id, self.plan.flow, before, after, **how)

    def _set_clock(self, ahead: float) -> None:
        self._ahead = ahead

    def _beat_on(self, seconds: float) -> None:
        beating = self._beating

        def beat() -> None:
            if self._beating == beating:
                self._send()
                self._beat_on(self.plan.interval + self._world.random.uniform(0, 1.5))

        self._world.after(seconds, beat)

    def _send(self) -> None:
        self.last_sent, self.beats = self._world.time, self.beats + 1
        moment = self._world.now() + timedelta(seconds=self._ahead)
        beats = [heartbeat(self.id, occurred=moment)]  # type: ignore[arg-type]
        if self._world.chance(0.03):
            beats.append(heartbeat(self.id, occurred=moment + timedelta(milliseconds=3)))  # type: ignore[arg-type]
        for beat in beats:
            self._hand_over(beat)

    def _hand_over(self, beat: Json) -> None:
        """Give a beat to the way to the server: it arrives soon, late, when the server is back, or never."""
        random, plan = self._world.random, self.plan
        if self.is_cut_off:
            self._held.append(beat)
        elif not self._server.up:
            if random.random() < 0.5:
                self._server.back.append(lambda: self._take(beat))
        elif self._may_be_late() and random.random() < plan.late_share:
            self._was_late = True
            self._world.after(
                random.choice((20, plan.interval * 1.5, 600, 7200)) * random.random(), lambda: self._take(beat)
            )
        else:
            self._was_late = False
            self._world.after(random.uniform(0.01, 0.3), lambda: self._server.take(beat))

    def _may_be_late(self) -> bool:
        """Keep two in a row from being late, those before a death and those after the clock was set.

        Whether such a run is dead nobody could tell.
        """
        now, some = self._world.time, 4 * self.plan.interval
        was_set = any(0 <= now - moment < some for moment, _ in self.plan.steps)
        return not self._was_late and not was_set and not 0 < self.plan.turns - now < some

    def _take(self, beat: Json) -> None:
        """Let a held beat arrive, if there still is who holds it."""
        if self._server.up and not self.is_dead:
            self._server.take(beat)

    def _reconnect(self) -> None:
        self.is_cut_off = False
        held, self._held = self._held, []
        for beat in held:
            self._hand_over(beat)
