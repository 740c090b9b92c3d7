"""The tracker at work: it is told of each commit, and says whose time is up, unless we could not have heard of them."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import islice

import structlog

from schemas import Heartbeat, Notice, Transition, Verdict
from schemas.ours import NoticeAbout, VerdictStatus
from streamer.health import SourceHealth
from streamer.instruments import Instruments
from streamer.liveness import Status, Tracker
from streamer.model import Appended, Clock, Net, RunState
from streamer.suspicion import SECOND, Check, Move, Reason, Standing, Suspicion
from streamer.timestamps import to_micros

STALLED_SECONDS = 5.0
"""If nobody looked for so long, this process or its machine stood still."""

LAGGING_SECONDS = 10.0
"""What comes so late says that more is on its way."""

MANY = 10
"""If more than half of at least so many runs fall silent at once, the fault is rather on the way: wait once more."""

logger = structlog.get_logger(__name__)


class Watch:
    """An observer that feeds the tracker of one source."""

    name = "liveness"

    def __init__(self, tracker: Tracker, health: SourceHealth, clock: Clock, instruments: Instruments) -> None:
        self.tracker = tracker
        self._health = health
        self._clock = clock
        self._instruments = instruments
        self._proven: list[Suspicion] = []
        self._looked: tuple[float, datetime] | None = None
        self._lagged_at = 0.0
        self._saw = False
        self._doubted = 0

    def load(self, runs: Iterable[RunState]) -> None:
        """Take up the runs that had not ended when the process before us did."""
        load(self.tracker, runs)

    def committed(self, source: str, net: Net, appended: Appended) -> None:
        """Tell the tracker what a commit added."""
        if source != self._health.name:
            return
        for record in appended.records:
            match record.event:
                case Transition() as event:
                    self._proves(self.tracker.moved(event.run, _move(event)))
                case Verdict() as event if event.ruling.status is not VerdictStatus.ACTED:
                    self._judged(event)
                case Notice(about=NoticeAbout.DELETED) as event if event.run_id:
                    self.tracker.forget(event.run_id)
        for beat in appended.beats:
            self._beaten(beat)
        if net is Net.LIVE:
            self._watch_the_lag(appended)

    def due(self, most: int) -> list[Suspicion]:
        """Return whose time is up, at most so many; none while we cannot know."""
        self.look()
        if not self._saw:
            return []
        now = self.now()
        due = self.tracker.due(now, most)
        anew = sum(each.reason is Reason.HEARTBEAT_MISSING and each.since > self._doubted for each in due)
        if anew >= MANY and self._is_most(anew):
            logger.warning("most runs fell silent at once: waiting once more", silent=anew)
            self._doubted = now
            self._see(now)
            return [each for each in due if each.reason is not Reason.HEARTBEAT_MISSING]
        return due

    def proven(self) -> list[Suspicion]:
        """Return what needs no confirmation, since the runs themselves have shown it; each once."""
        if not self._saw:
            return []
        proven, self._proven = self._proven, []
        return proven

    def now(self) -> int:
        """Return the server's time in microseconds."""
        return to_micros(self._clock.now())

    def look(self) -> None:
        """Find out whether silence means something now; if it begins to, let it count from now on.

        To be called every second or so, also while suspicions are checked: whoever does not look stands still.
        """
        monotonic, wall = self._clock.monotonic(), self._clock.now()
        stood_still = self._looked is not None and (
            monotonic - self._looked[0] > STALLED_SECONDS
            or abs((wall - self._looked[1]).total_seconds()) > STALLED_SECONDS
        )
        self._looked = (monotonic, wall)
        lags = self._lagged_at > 0 and monotonic - self._lagged_at < LAGGING_SECONDS
        sees = self._health.is_ready and not lags and not stood_still
        if sees and not self._saw:
            self._see(to_micros(wall))
        self._saw = sees

    def _see(self, now: int) -> None:
        """Let silence count from now on."""
        self._instruments.zombie_checks.labels(Check.SUPPRESSED).inc(self.tracker.see(now))

    def _is_most(self, silent: int) -> bool:
        alive = (status for _, _, status in self.tracker.statuses() if status is Status.ALIVE)
        return sum(1 for _ in islice(alive, 2 * silent)) < 2 * silent

    def _watch_the_lag(self, appended: Appended) -> None:
        events = [*appended.beats, *(each.event for each in appended.records)]
        oldest = min([each.received for each in events if each.received], default=None)
        if oldest and (self._clock.now() - oldest).total_seconds() > LAGGING_SECONDS:
            self._lagged_at = self._clock.monotonic()

    def _beaten(self, beat: Heartbeat) -> None:
        occurred = to_micros(beat.occurred)
        received = to_micros(beat.received) if beat.received else occurred
        known = self.tracker.get(beat.run)
        before = known.beats if known else 0
        self._proves(self.tracker.beat(beat.run, occurred, received, self.now()))
        if known and known.beats > max(before, 1):
            self._instruments.heartbeat_gap.observe(known.gap / SECOND)

    def _judged(self, event: Verdict) -> None:
        signs, reason = self.tracker.get(event.run), _known_reason(event.ruling.reason)
        state = event.ruling.state
        if (
            signs
            and reason
            and reason.status is not VerdictStatus.RECOVERED
            and state
            and state.type is signs.move.type
        ):
            self.tracker.stand(event.run, Standing(reason))

    def _proves(self, finding: Suspicion | None) -> None:
        if finding:
            self._proven.append(finding)


def load(tracker: Tracker, runs: Iterable[RunState]) -> None:
    """Have a tracker take up runs that have not ended, as the store knows them."""
    for run in runs:
        if run.state_type is None or run.state_at is None:
            continue
        since = to_micros(run.since or run.state_at)
        move = Move(
            at=since,
            type=run.state_type,
            name=run.state_name or "",
            attempt=run.run_count,
            flow=run.flow or "",
            deployment=run.deployment or "",
            work_pool=run.work_pool or "",
            tags=run.tags,
        )
        tracker.moved(run.id, move)
        tracker.moved(run.id, move._replace(at=to_micros(run.state_at)))
        for beat in sorted(run.beats, key=lambda beat: beat.received):
            if beat.received >= since:
                tracker.beat(run.id, beat.occurred, beat.received, since)
        if run.verdict and (reason := _known_reason(run.verdict.reason)):
            tracker.stand(run.id, Standing(reason))


def _move(event: Transition) -> Move:
    parties = event.parties
    flow, deployment, pool = parties.get("flow"), parties.get("deployment"), parties.get("work-pool")
    return Move(
        at=to_micros(event.occurred),
        type=event.to_type,
        name=event.after.name,
        attempt=event.run_count,
        flow=flow.id if flow else "",
        deployment=deployment.id if deployment else "",
        work_pool=pool.id if pool else "",
        tags=event.tags,
    )


def _known_reason(text: str) -> Reason | None:
    return Reason(text) if text in _REASONS else None


_REASONS: Mapping[str, Reason] = {reason.value: reason for reason in Reason}
