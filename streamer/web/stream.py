"""What the live page is told, as server-sent events that are the same bytes for everybody who watches.

There is no queue for a viewer, but a place: the `seq` up to which it has the feed, and which version of each topic.
When it has taken what it was sent it is given what is new by then. So one that is slow skips what came in between, or,
once the feed does not reach back to its place, begins anew; it holds up nobody, and takes no memory.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from streamer.errors import StoreError
from streamer.web.feed import Feed, message
from streamer.web.problems import Refusal

PATH = "/api/events"

TELL_SECONDS = 0.5
"""So often viewers are told what is new, at the most."""

SILENT_SECONDS = 15.0
"""Proxies close a connection that is silent for long."""

REST = 10
"""What takes long to find out is asked less often: it has this many times as long without us."""

VIEWERS_MOST = 200
RETRY = b"retry: 2000\n\n"
STILL_HERE = b":\n\n"

_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

logger = structlog.get_logger(__name__)


@dataclass(slots=True)
class Topic:
    """Something that everybody is told as it is now: asked for `every` so many seconds while somebody watches."""

    name: str
    ask: Callable[[], Awaitable[object]]
    every: float = 1.0
    version: int = 0
    message: bytes = b""

    async def refresh(self) -> bool:
        """Ask; tell whether there is something new."""
        told = message(self.name, await self.ask())
        if told == self.message:
            return False
        self.message = told
        self.version += 1
        return True


@dataclass(slots=True)
class Viewer:
    """How far somebody has come who watches; no place is before all there is."""

    place: int | None
    versions: dict[str, int] = field(default_factory=dict)


class Stream:
    """The feed and the topics, and who watches them."""

    def __init__(self, feed: Feed, topics: Sequence[Topic]) -> None:
        self.viewers = 0
        self._feed = feed
        self._topics = topics
        self._moved = asyncio.Event()
        self._watched = asyncio.Event()
        self._unwatched = asyncio.Event()
        self._closed = self._has_news = False

    async def run(self) -> None:
        """Keep the feed and the topics up to date, for ever; when that is over, everybody is let go."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep_telling())
                for topic in self._topics:
                    tasks.create_task(self._keep_asking(topic))
        finally:
            self._closed = True
            self._tell()

    async def messages(
        self, ident: str | None = None, *, silent: float = SILENT_SECONDS
    ) -> AsyncGenerator[bytes, None]:
        """Yield what is new to somebody who has what came up to an id, for as long as they take it."""
        viewer = Viewer(self._feed.place(ident) if ident else None)
        with self._watching():
            yield RETRY
            while not self._closed:
                moved = self._moved
                if news := self._news(viewer):
                    yield news
                elif not await _is_set(moved, silent):
                    yield STILL_HERE

    def _news(self, viewer: Viewer) -> bytes:
        """Return what is new to a viewer, who has it then."""
        chunks, viewer.place = self._feed.since(viewer.place)
        topics = [each for each in self._topics if each.message and viewer.versions.get(each.name) != each.version]
        viewer.versions.update({each.name: each.version for each in topics})
        return b"".join([*chunks, *(each.message for each in topics)])

    async def _keep_telling(self) -> None:
        while True:
            with _surviving("feed"):
                self._has_news |= self._feed.cut()
            if self._has_news:
                self._tell()
            await asyncio.sleep(TELL_SECONDS)

    async def _keep_asking(self, topic: Topic) -> None:
        while True:
            await self._watched.wait()
            begun = time.monotonic()
            with _surviving(topic.name):
                self._has_news |= await topic.refresh()
            await _is_set(self._unwatched, max(topic.every, REST * (time.monotonic() - begun)))

    def _tell(self) -> None:
        """Wake who waits for something new."""
        self._has_news = False
        self._moved.set()
        self._moved = asyncio.Event()

    @contextmanager
    def _watching(self) -> Iterator[None]:
        self.viewers += 1
        self._watched.set()
        self._unwatched.clear()
        try:
            yield
        finally:
            self.viewers -= 1
            if not self.viewers:
                self._watched.clear()
                self._unwatched.set()  # nobody sleeps then, so that who comes next is told at once
                for topic in self._topics:
                    topic.message = b""  # it grows old


def route(stream: Stream) -> Route:
    """Return the route of the events; where to go on is told by the header that browsers send, or as `after`."""

    async def watch(request: Request) -> Response:
        if stream.viewers >= VIEWERS_MOST:
            raise Refusal(503, f"{VIEWERS_MOST} watch already, which is the most", hint="ask /api/live now and then")
        ident = request.headers.get("last-event-id") or request.query_params.get("after")
        return StreamingResponse(stream.messages(ident), media_type="text/event-stream", headers=_HEADERS)

    return Route(PATH, watch)


@contextmanager
def _surviving(what: str) -> Iterator[None]:
    """Let nothing that goes wrong here end the service."""
    try:
        yield
    except StoreError as error:
        logger.warning("the live page is not told what is new", of=what, error=str(error))
    except Exception:
        logger.exception("the live page is not told what is new", of=what)


async def _is_set(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
