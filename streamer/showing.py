"""The live page of a service: what it is told, and how that is found out."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Generic, TypeVar

import anyio.to_thread
from prometheus_client import Counter

from streamer import __version__
from streamer.alert_list import ListedAlert
from streamer.core import Ground
from streamer.liveness import Tracker
from streamer.model import Observer
from streamer.sink_list import SinkState
from streamer.told import Told
from streamer.web import present
from streamer.web.activity import HOUR, Activity, ActivityView
from streamer.web.endpoints import Nothing
from streamer.web.feed import Feed
from streamer.web.present import Chosen, PresentView
from streamer.web.sink_rates import Rates, SinkNow
from streamer.web.standing import Facts, SinkFact, StandingView, standing
from streamer.web.stream import Stream, Topic

RECORDS_SHOWN = 300
"""How far back the feed goes at a start, in records."""

ALERTS_SHOWN = 50
MOMENT_SECONDS = 0.8
ODDITIES_SECONDS = 5.0

T = TypeVar("T")


class Showing:
    """All that the live page of a service shows. Make one with `open`, before anything is appended."""

    def __init__(self, ground: Ground, told: Told, feed: Feed, activity: Activity) -> None:
        self._ground = ground
        self._told = told
        self.feed = feed
        self._activity = activity
        self._trackers: Mapping[str, Tracker] = {}
        self._rates = Rates()
        self._chosen = Kept(self._choose, MOMENT_SECONDS)
        self._sinks = Kept(told.sinks, MOMENT_SECONDS)
        self._alerts = Kept(told.alerts, MOMENT_SECONDS)
        self._oddities = Kept(ground.store.oddities, ODDITIES_SECONDS)
        topics = [
            Topic("standing", self.standing),
            Topic("runs", self.runs),
            Topic("alerts", self.alerts),
            Topic("sinks", self.sinks, every=2.0),
            Topic("activity", self.activity, every=2.0),
        ]
        self.stream = Stream(feed, topics)

    @classmethod
    async def open(cls, ground: Ground, told: Told) -> "Showing":
        """Return it with what has happened lately, as the store tells."""
        store, log = ground.store, ground.log
        feed = Feed(await store.identity(), ground.clock, names=lambda: ground.metrics.names, is_history=log.is_history)
        beyond = max(0, log.head - RECORDS_SHOWN)  # seq has gaps: these may be fewer
        feed.begin(await store.after(beyond, RECORDS_SHOWN), beyond=beyond, head=log.head)
        showing = cls(ground, told, feed, Activity(ground.clock))
        await showing.look_again()
        return showing

    @property
    def observers(self) -> list[Observer]:
        """Return who has to be told of commits."""
        return [self.feed, self._activity]

    async def look_again(self) -> None:
        """Ask the store what happened in the last hour."""
        self._activity.begin(await self._ground.store.lately(self._ground.clock.now() - HOUR))

    def follow(self, trackers: Mapping[str, Tracker]) -> None:
        """Show the runs of these trackers, by source."""
        self._trackers = trackers

    async def live(self, _: Nothing) -> dict[str, object]:
        """Return all that is shown: see `LiveView`."""
        return {
            "id": self.feed.ident,
            "standing": await self.standing(),
            "runs": await self.runs(),
            "activity": await self.activity(),
            "sinks": await self.sinks(),
            "alerts": await self.alerts(),
            "rows": self.feed.rows,
        }

    async def standing(self) -> StandingView:
        """Return whether all is well."""
        status, chosen = self._told.status(), await self._chosen.get()
        sinks = [each for each in await self._sinks.get() if each.state is not SinkState.REMOVED]
        modes = {each.mode for each in status.sources}
        facts = Facts(
            now=self._ground.clock.now(),
            version=__version__,
            mode="rest" if "rest" in modes else next(iter(modes), "live"),
            missing=status.missing,
            sinks=[SinkFact(each.name, each.trouble, each.oldest_pending) for each in sinks],
            firing=[each.rule for each in await self._alerts.get()],
            by_status=chosen.by_status,
            lag=self.feed.lag,
            watermark=min((each.watermark for each in status.sources if each.watermark), default=None),
            oddities=await self._oddities.get(),
        )
        return standing(facts)

    async def runs(self) -> PresentView:
        """Return the runs that have not ended."""
        chosen = await self._chosen.get()
        return present.view(chosen, await self._ground.store.runs(chosen.first), self._ground.metrics.names)

    async def activity(self) -> ActivityView:
        """Return the last hour."""
        return self._activity.view()

    async def alerts(self) -> Sequence[ListedAlert]:
        """Return what fires, the newest first."""
        return (await self._alerts.get())[:ALERTS_SHOWN]

    async def sinks(self) -> Sequence[SinkNow]:
        """Return all sinks."""
        meters = self._ground.instruments
        rates = self._rates.of(_counted(meters.sink_records, "delivered"), time.monotonic())
        failed = _counted(meters.sink_attempts, "retry")
        return [
            SinkNow(**asdict(each), rate=round(rates.get(each.name, 0.0), 1), failed=int(failed.get(each.name, 0)))
            for each in await self._sinks.get()
        ]

    async def _choose(self) -> Chosen:
        """Look at all runs, beside the loop: there may be very many."""
        trackers = list(self._trackers.values())
        return await anyio.to_thread.run_sync(
            lambda: present.choose(each for tracker in trackers for each in tracker.statuses())
        )


class Kept(Generic[T]):
    """An answer that is asked for anew only once it is old."""

    def __init__(self, ask: Callable[[], Awaitable[T]], seconds: float) -> None:
        self._ask = ask
        self._seconds = seconds
        self._answer: tuple[float, T] | None = None

    async def get(self) -> T:
        """Return the answer."""
        if self._answer is None or time.monotonic() - self._answer[0] > self._seconds:
            self._answer = time.monotonic(), await self._ask()
        return self._answer[1]


def _counted(counter: Counter, result: str) -> dict[str, float]:
    """Return by sink what a counter has counted with this result."""
    samples = (sample for family in counter.collect() for sample in family.samples)
    wanted = (each for each in samples if each.name.endswith("_total") and each.labels["result"] == result)
    return {each.labels["sink"]: each.value for each in wanted}
