"""The service that is looked at: where it is, and what it tells."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlencode

import httpx
import orjson
from pydantic import TypeAdapter

from streamer.access import AccessSettings
from streamer.cli.answering import WHO_ASKS
from streamer.cli.top_script import UNDER_WAY
from streamer.cli.top_told import LIVE, Told, present
from streamer.config import Settings
from streamer.errors import AuthenticationFailed, ConfigError, ConnectionLost, SourceError, StoreError
from streamer.questions import PAGE_MOST, RunQuery
from streamer.run_view import RunView
from streamer.web import stream
from streamer.web.endpoints import Items
from streamer.web.parameters import written
from streamer.web.present import PresentRun

TIMEOUT = httpx.Timeout(10, read=stream.SILENT_SECONDS + 5)
"""It says that it is still there before it has been silent for so long."""

_RUNS: TypeAdapter[Items[RunView]] = TypeAdapter(Items[RunView])
_UNDER_WAY = urlencode(written(RunQuery(states=UNDER_WAY, limit=PAGE_MOST)))
_NOTHING: Mapping[str, str] = {}

_WHERE = "start it with `streamer run`, or say with --service where one runs"


@dataclass(frozen=True, slots=True)
class Place:
    """The address of a service, and the headers that prove who asks."""

    address: str
    headers: Mapping[str, str]


Find = Callable[[], Place]
"""Asked at each attempt to connect: a service that was started again may be elsewhere, and secrets change."""


def at(address: str, access: AccessSettings) -> Find:
    """Return how to find the service at an address, to which the `[access]` of the settings proves who asks."""
    with suppress(httpx.InvalidURL, ValueError):
        if httpx.URL(address).host:
            return lambda: Place(address.rstrip("/"), _proof(access))
    raise ConfigError(f"{address} is no address of a service", hint="write it as http://host:4280")


def on_store(settings: Settings) -> Find:
    """Return how to find the service that runs on the store of the settings."""

    def find() -> Place:
        if service := settings.place.service():
            return Place(service.address, {"Authorization": f"Bearer {service.token}"})
        raise StoreError(f"no service runs on the store {settings.place}", _WHERE)

    return find


def _proof(access: AccessSettings) -> dict[str, str]:
    access.require_readable()
    proofs = [f"Bearer {each.decode()}" for each in access.tokens()]
    proofs += [f"Basic {each.decode()}" for each in access.basics()]
    return {"Authorization": proofs[0]} if proofs else {}


class LookedAt:
    """A running service; what keeps it from answering is raised as one of our errors."""

    def __init__(self, find: Find) -> None:
        self._find = find

    async def picture(self) -> bytes:
        """Return what `/api/live` answers."""
        async with self._asked("/api/live") as response:
            return await response.aread()

    async def told(self) -> Told:
        """Return what `/api/live` tells."""
        async with self._asked("/api/live") as response:
            live, date = LIVE.validate_json(await response.aread()), response.headers.get("date")
        ahead = parsedate_to_datetime(date) - datetime.now(UTC) if date else timedelta()
        return Told(live, ahead=ahead)

    async def under_way(self) -> list[PresentRun]:
        """Return the runs that have begun, or are about to, and have not ended; of very many the newest."""
        async with self._asked(f"/api/runs?{_UNDER_WAY}") as response:
            return [present(run) for run in _RUNS.validate_json(await response.aread()).items]

    @asynccontextmanager
    async def events(self, after: str | None) -> AsyncIterator[AsyncIterator[bytes]]:
        """Hold a connection that brings server-sent events, from those on that came after an id."""
        async with self._asked(stream.PATH, {"Last-Event-ID": after} if after else {}) as response:
            yield response.aiter_bytes()

    @asynccontextmanager
    async def _asked(self, path: str, headers: Mapping[str, str] = _NOTHING) -> AsyncIterator[httpx.Response]:
        place = self._find()
        with _understanding(place.address):
            async with (
                httpx.AsyncClient(headers=place.headers, timeout=TIMEOUT, trust_env=False) as http,
                http.stream("GET", place.address + path, headers=headers) as response,
            ):
                if not response.is_success:
                    _refused(place.address, response.status_code, await response.aread())
                yield response


@contextmanager
def _understanding(address: str) -> Iterator[None]:
    """Say what is wrong with an answer, or that there is none."""
    try:
        yield
    except httpx.HTTPError as error:
        why = str(error) or type(error).__name__
        raise ConnectionLost(f"the service at {address} does not answer: {why}", "does it run there?") from error
    except ValueError as error:
        first = str(error).partition("\n")[0]
        raise SourceError(f"the service at {address} is not understood: {first}", "is it of this version?") from error


def _refused(address: str, status: int, body: bytes) -> None:
    if status in (401, 403):
        raise AuthenticationFailed(f"the service at {address} wants to know who asks", WHO_ASKS)
    with suppress(orjson.JSONDecodeError):
        if isinstance(told := orjson.loads(body), dict) and status != 404 and told.get("detail"):
            raise SourceError(f"the service at {address} refused: {told['detail']}", told.get("hint"))
    raise SourceError(f"{address} answered {status}", hint="is it a streamer's address, and of this version?")
