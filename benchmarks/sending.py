"""The process of a frame server: it does what it is told to, one order after the other, while it serves."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from multiprocessing.connection import Connection
from typing import Any

import orjson

from benchmarks.door import door
from benchmarks.made import Made, events, made
from benchmarks.quick_rest import QuickRest
from benchmarks.subscribers import Subscribers, frame_of

LEAD_SECONDS = 0.5
MAKING_SECONDS = 0.0002
"""What is sent at a pace is made before it occurs: it takes less than this for each, and the lead."""


def run(orders: "Connection[Any, Any]") -> None:
    """Serve, tell the API's address, and obey until killed."""
    asyncio.run(_serve(orders))


async def _serve(orders: "Connection[Any, Any]") -> None:
    async with AsyncExitStack() as stack:
        rest, subscribers = await stack.enter_async_context(QuickRest()), Subscribers()
        url = await stack.enter_async_context(door(subscribers, rest.url))
        orders.send(f"{url}/api")
        server = _Server(rest, subscribers)
        while True:
            name, *arguments = await asyncio.to_thread(orders.recv)
            orders.send(await getattr(server, name)(*arguments))


class _Server:
    """What `FrameServer` can be asked for."""

    def __init__(self, rest: QuickRest, subscribers: Subscribers) -> None:
        self._rest = rest
        self._subscribers = subscribers
        self._made: list[Made] = []

    async def make(self, number: int, states: Sequence[str]) -> None:
        self._made = self._enter(events(number, states))

    async def send(self) -> float:
        await self._subscribers.some()
        self._show(self._made)
        frames = b"".join(frame_of(each.body) for each in self._made)
        begun = time.monotonic()
        await self._subscribers.flood(frames)
        return begun

    async def pace(self, number: int, per_second: float) -> dict[str, float]:
        await self._subscribers.some()
        lead, every = LEAD_SECONDS + number * MAKING_SECONDS, 1 / per_second
        begin, began = time.monotonic() + lead, self._rest.now() + timedelta(seconds=lead)
        times = (began + place * timedelta(seconds=every) for place in range(number))
        planned = self._enter(events(number, occurred=times))
        frames = [frame_of(each.body) for each in planned]
        assert time.monotonic() < begin, "making them took too long"
        sent: dict[str, float] = {}

        def write(place: int) -> None:
            sent[planned[place].id] = time.monotonic()
            self._subscribers.write(frames[place])
            self._show(planned[place : place + 1])

        moments = [begin + place * every for place in range(number)]
        await asyncio.to_thread(_call_at, moments, asyncio.get_running_loop(), write)
        return sent

    async def set_clock(self, ahead: float) -> None:
        self._rest.clock_ahead = timedelta(seconds=ahead)

    async def miss(self, number: int, seconds: float) -> None:
        since, apart = self._rest.now() - timedelta(seconds=seconds), timedelta(seconds=seconds / number)
        self._show(self._enter(events(number, occurred=(since + place * apart for place in range(number)))))

    async def know(self, events: Sequence[bytes]) -> None:
        for each in events:
            self._rest.tables.enter(orjson.loads(each))

    async def first_asked(self) -> float | None:
        return self._rest.events.asked_at

    async def forget_who_asked(self) -> None:
        self._rest.events.asked_at = None

    def _enter(self, happening: Iterable[dict[str, Any]]) -> list[Made]:
        """Return them as JSON; the tables of runs know what became."""
        ready = []
        for event in happening:
            self._rest.tables.enter(event)
            ready.append(made(event))
        return ready

    def _show(self, happened: Iterable[Made]) -> None:
        for each in happened:
            self._rest.events.add(*each)


def _call_at(moments: Sequence[float], loop: asyncio.AbstractEventLoop, do: Callable[[int], None]) -> None:
    """Do it in the loop at each moment; a thread's sleep ends within tenths of a millisecond, a loop's may take one."""
    for place, moment in enumerate(moments):
        time.sleep(max(0.0, moment - time.monotonic()))
        loop.call_soon_threadsafe(do, place)
