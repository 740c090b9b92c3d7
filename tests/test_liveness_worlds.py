"""Worlds of runs that live and die among misfortunes: who died is named, once and in time, and nobody else is.

A seed is a world: it fails again under its name, `test_the_dead_are_named_and_nobody_else[17]`, and tells its history.
"""

from itertools import chain

import pytest

from streamer.suspicion import SECOND, USUAL
from tests.worlds.process import Process
from tests.worlds.senders import Fate, Plan, Sender
from tests.worlds.server import Server
from tests.worlds.world import World

SEEDS = range(60)
LOOKS_EVERY = 2.0

LEEWAY = 150.0
"""How much later than its time a verdict may come: a check that fails is repeated after 30 s."""

SHOWN, QUIET = 600.0, 3000.0
"""At the end nothing goes wrong for so long, and if need be for so much longer, so that who is dead must be named."""


class Story:
    """A world with its runs, and what goes wrong in it."""

    def __init__(self, seed: int) -> None:
        self.world = World(seed)
        self.random = random = self.world.random
        self.server = Server(self.world)
        self.process = Process(self.world, self.server)
        self.length = random.choice((600.0, 1200.0, 2400.0))
        self.process.live_loss = random.choice((0.0, 0.02, 0.2))
        self.process.live_delay = random.choice((0.5, 2.0, 8.0))
        self.process.rest_failures = random.choice((0.0, 0.1))
        self.process.rest_seconds = random.choice((0.05, 1.0, 4.0))
        self.late_share = random.choice((0.0, 0.02, 0.1))
        self.senders = [Sender(self.world, self.server, self.plan()) for _ in range(random.randint(30, 100))]
        misfortunes = random.randint(0, 8)
        for _ in range(misfortunes):
            self.world.at(random.uniform(0, self.length), self.misfortune)
        self.is_calm = not (misfortunes or self.process.live_loss or self.late_share)

    def plan(self) -> Plan:
        """Draw a run's plan."""
        random = self.random
        flow = random.randrange(6)
        fate = random.choices(list(Fate), (10, 4, 5, 2, 1, 2, 1))[0]
        starts = random.choice((0, random.uniform(0, self.length / 2)))
        turns = random.uniform(starts + 1, self.length)
        is_set = random.random() < 0.1 and fate is not Fate.IS_CUT_OFF
        steps = [(random.uniform(starts, self.length), random.uniform(-600, 600))] if is_set else []
        return Plan(
            fate,
            flow=f"flow-{flow}",
            interval=(30, 31, 45, 60, 120, 180)[flow],
            starts=starts,
            turns=turns,
            lasts=random.uniform(600, 1200) if fate is Fate.IS_CUT_OFF else random.uniform(20, 700),
            ahead=random.choice((0.0, random.uniform(-600, 600))),
            steps=steps,
            late_share=self.late_share,
        )

    def misfortune(self) -> None:
        """Let something go wrong."""
        random, process = self.random, self.process
        seconds = random.choice((5, 30, 120, 400)) * random.uniform(0.5, 1.2)
        if process.stopped_until is not None or not self.server.up:
            return
        match random.randrange(6):
            case 0:
                self.world.note(f"the server is down for {seconds:.0f} s")
                self.server.stop()
                process.disconnect()
                self.world.after(seconds, self.server.start)
            case 1:
                self.world.note("the websocket is gone")
                process.disconnect()
            case 2:
                process.stop(seconds, is_cut=random.random() < 0.5)
            case 3:
                process.stop(seconds, asleep=True, is_cut=True)
            case 4:
                process.kill(seconds)
            case 5:
                self.world.note("the websocket is refused for a while")
                process.websocket = False
                process.disconnect()
                self.world.after(seconds, self.let_in)

    def let_in(self) -> None:
        """Accept websockets again."""
        self.process.websocket = True

    async def run(self) -> None:
        """Let it all happen, and go on until the dead are named and some time has shown no more."""
        self.process.start()
        until = self.length + SHOWN
        while self.world.time < until:
            self.world.run_until(self.world.time + LOOKS_EVERY)
            await self.process.look()
            if until < self.length + QUIET and self.world.time >= until and self.is_unsettled():
                until += SHOWN

    def is_unsettled(self) -> bool:
        """Tell whether somebody has died and was not named yet, or is cut off still."""
        named = {str(verdict.run) for verdict in self.process.store.verdicts}
        return any((each.is_dead and each.id not in named) or each.is_cut_off for each in self.senders)


class Trial:
    """What was said of each run against what became of it."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.said: dict[str, list[tuple[str, float]]] = {each.id: [] for each in story.senders}
        start = story.world.now().timestamp() - story.world.time
        for verdict in story.process.store.verdicts:
            self.said[str(verdict.run)].append((verdict.ruling.status.value, verdict.occurred.timestamp() - start))

    def complaints(self) -> list[str]:
        """Return what is wrong, with the history of each run that it is about."""
        return list(chain.from_iterable(map(self._complaints, self.story.senders)))

    def _complaints(self, sender: Sender) -> list[str]:
        said = [status for status, _ in self.said[sender.id]]
        problem = _problem(sender.plan.fate, said)
        if not problem and sender.plan.fate is Fate.DIES:
            problem = self._untimely(sender, self.said[sender.id][0][1])
        if not problem:
            return []
        beats = list(self.story.server.beats_of(sender.id))[-12:]
        return [
            f"{problem}: {sender.id} {sender.plan} last sent {sender.last_sent:.1f}",
            f"{self.said[sender.id]}",
            *beats,
        ]

    def _untimely(self, sender: Sender, named: float) -> str:
        silence = _silence(sender.plan.interval)
        is_set = any(sender.plan.starts < moment < sender.last_sent + 1 for moment, _ in sender.plan.steps)
        if not is_set and named < sender.last_sent + silence - 5:  # a single beat after the clock was set proves little
            return "named too early"
        return "named too late" if named > self._latest(sender) else ""

    def _latest(self, sender: Sender) -> float:
        """Return when a run must have been named: silence counts from when we last began to see.

        Of one that sent few beats the interval is not known, and where beats are lost longer ones are learned.
        """
        silence = _silence(sender.plan.interval if sender.beats > 3 else 180)
        patience = silence + LEEWAY if self.story.is_calm else silence + _silence(6 * sender.plan.interval) + LEEWAY
        since = sender.last_sent
        for moment in sorted(self.story.process.blind_at):
            if since <= moment <= since + patience:
                since = moment
        return since + patience


def _silence(interval: float) -> float:
    return (USUAL.silence(int(interval * SECOND)) or 0) / SECOND


def _problem(fate: Fate, said: list[str]) -> str:
    named = sum(status in ("zombie", "suspect") for status in said)
    match fate:
        case Fate.DIES if not named:
            return "missed"
        case Fate.DIES if said not in (["zombie"], ["suspect"]):
            return "named in another way than once"
        case Fate.DIES_WAITING if said != ["overdue"]:
            return "not named overdue once"
        case Fate.IS_CUT_OFF if said not in ([], ["zombie", "recovered"], ["suspect", "recovered"]):
            return "not named and recovered once each"
        case Fate.LIVES | Fate.ENDS | Fate.RETRIES | Fate.PAUSES if said:
            return "falsely named"
    return ""


@pytest.mark.parametrize("seed", SEEDS)
async def test_the_dead_are_named_and_nobody_else(seed: int) -> None:
    story = Story(seed)
    await story.run()
    complaints = Trial(story).complaints()
    history = [each for each in story.world.diary if "-" not in each.split(" ")[0]]
    assert not complaints, "\n".join([f"world {seed}", *history, *complaints])
