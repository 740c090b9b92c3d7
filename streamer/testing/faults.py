"""A seeded plan of what goes wrong between a Prefect server and its clients: the same seed, the same misfortunes.

Each way in draws from a stream of its own, so that what befalls the websocket does not depend on how often REST is
asked. Nothing here makes one valid event of another: bytes that break, break the JSON.
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence
from enum import StrEnum
from random import Random
from typing import Any

from starlette.responses import HTMLResponse, Response


class Misfortune(StrEnum):
    """What can happen to a message, to an answer, to a page of events, to a handshake, and to an event itself."""

    DROPPED = "a message was dropped"
    DELAYED = "a message was late"
    DUPLICATED = "a message came twice"
    REORDERED = "a message came after the next one"
    TRUNCATED = "a message was cut off"
    CORRUPTED = "a message was no JSON"
    DISCONNECTED = "the websocket was closed"

    PRESSURE = "REST answered 429"
    FAILURE = "REST answered 500"
    UNAVAILABLE = "REST answered 503"
    HTML = "REST answered with a page for people"
    CUT = "REST answered with half the JSON"
    SLOW = "REST answered late"

    WRONG_TOTAL = "a page's total was wrong"
    ENDLESS = "a page's token led to the page itself"

    REFUSED = "the websocket was refused"

    LATE = "an event came late to REST"
    LOST = "an event never came to REST"


_OF_A_MESSAGE = (
    Misfortune.DROPPED,
    Misfortune.DELAYED,
    Misfortune.DUPLICATED,
    Misfortune.REORDERED,
    Misfortune.TRUNCATED,
    Misfortune.CORRUPTED,
    Misfortune.DISCONNECTED,
)
_OF_AN_ANSWER = (
    Misfortune.PRESSURE,
    Misfortune.FAILURE,
    Misfortune.UNAVAILABLE,
    Misfortune.HTML,
    Misfortune.CUT,
    Misfortune.SLOW,
)
_OF_A_PAGE = (Misfortune.WRONG_TOTAL, Misfortune.ENDLESS)
_OF_A_HANDSHAKE = (Misfortune.REFUSED,)
_OF_AN_EVENT = (Misfortune.LATE, Misfortune.LATE, Misfortune.LATE, Misfortune.LOST)

ABNORMAL = 1006
"""No close code of a frame: the connection just ends."""

CODES = (1000, 1001, 1002, 1003, ABNORMAL, 1007, 1009, 1011, 1012, 1013, 1014, 3000, 4000)
"""Not 1008, which says that the credentials are wrong."""


class Faults:
    """Misfortunes for a `FakePrefect`; `happened` counts them, `lost` holds the ids of events that REST never gets.

    Of messages and events `share` meet with one, of answers and handshakes a third as many, but with none of those they
    are `spared`; what is late is so by up to `longest` seconds.
    """

    def __init__(
        self, seed: object = 0, *, share: float = 0.3, longest: float = 0.4, spared: Collection[Misfortune] = ()
    ) -> None:
        self.happened: Counter[Misfortune] = Counter()
        self.lost: set[str] = set()
        self._messages, self._answers, self._events, self._handshakes = (
            Random(f"{seed} {of}")  # noqa: S311 - a plan, not a secret
            for of in ("messages", "answers", "events", "handshakes")
        )
        self._share = share
        self._longest = longest
        self._spared = spared
        self._held: list[bytes] = []

    def deliveries(self, message: bytes) -> list[tuple[float, bytes | int]]:
        """Return what a subscriber gets for a message: in how many seconds, and bytes or a close code."""
        before, self._held = [(0.0, held) for held in self._held], []
        random = self._messages
        match self._befalls(random, _OF_A_MESSAGE, self._share):
            case Misfortune.DROPPED:
                now: list[tuple[float, bytes | int]] = []
            case Misfortune.DELAYED:
                now = [(random.uniform(0, self._longest), message)]
            case Misfortune.DUPLICATED:
                now = [(0, message), (random.uniform(0, self._longest), message)]
            case Misfortune.REORDERED:
                now, self._held = [], [message]
            case Misfortune.TRUNCATED:
                now = [(0, message[: random.randrange(len(message))])]
            case Misfortune.CORRUPTED:
                now = [(0, _corrupted(message, random))]
            case Misfortune.DISCONNECTED:
                now = [(0, random.choice(CODES)), (0, message)]
            case _:
                now = [(0, message)]
        return [*now, *before]

    async def answer(self, answer: Response) -> Response:
        """Return what the client gets instead of an answer."""
        random = self._answers
        match self._befalls(random, _OF_AN_ANSWER, self._share / 3):
            case Misfortune.PRESSURE:
                return Response(status_code=429, headers={"Retry-After": random.choice(("0", "0.05", "soon"))})
            case Misfortune.FAILURE:
                return Response("Internal Server Error", 500)
            case Misfortune.UNAVAILABLE:
                return Response(status_code=503)
            case Misfortune.HTML:
                return HTMLResponse("<html>We will be right back.</html>")
            case Misfortune.CUT:
                body = bytes(answer.body)[: random.randrange(max(1, len(answer.body)))]
                return Response(body, answer.status_code, media_type="application/json")
            case Misfortune.SLOW:
                await asyncio.sleep(random.uniform(0, self._longest))
        return answer

    def page(self, page: dict[str, Any], *, itself: str) -> dict[str, Any]:
        """Return what the client gets instead of a page of events, which is at the address `itself`."""
        random = self._answers
        match self._befalls(random, _OF_A_PAGE, self._share / 3):
            case Misfortune.WRONG_TOTAL:
                return {**page, "total": max(0, page["total"] + random.choice((-3, -1, 1, 3, 20_000)))}
            case Misfortune.ENDLESS:
                return {**page, "next_page": itself}
        return page

    def refusal(self) -> int | None:
        """Return the status with which a websocket is refused, if it is."""
        if self._befalls(self._handshakes, _OF_A_HANDSHAKE, self._share / 3):
            return self._handshakes.choice((429, 502, 503))
        return None

    def lateness(self, event: str) -> float | None:
        """Return in how many seconds REST has an event; None if it never will, though the tables have its state."""
        match self._befalls(self._events, _OF_AN_EVENT, self._share):
            case Misfortune.LATE:
                return self._events.uniform(0, self._longest)
            case Misfortune.LOST:
                self.lost.add(event)
                return None
        return 0

    def _befalls(self, random: Random, kinds: Sequence[Misfortune], share: float) -> Misfortune | None:
        """Return what happens now, and count it; most often nothing does."""
        if random.random() >= share or (kind := random.choice(kinds)) in self._spared:
            return None
        self.happened[kind] += 1
        return kind


def _corrupted(message: bytes, random: Random) -> bytes:
    """Return the message with a byte put in that JSON has nowhere."""
    place = random.randrange(len(message))
    return message[:place] + b"\x00" + message[place + 1 :]
