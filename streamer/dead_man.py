"""The dead man's switch: an address that is pinged while all is well, so that somebody hears when it is pinged no more.

The address is a secret, since whoever knows it can say that all is well: nothing of it is logged or in an error.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self

import httpx
import structlog
from pydantic import ConfigDict, Field, SecretStr, field_validator, model_validator

from streamer.durations import Duration
from streamer.sinks.options import Tls

LOOK_SECONDS = 1.0
"""How often it is looked again whether what was missing is there."""

logger = structlog.get_logger(__name__)


class DeadManSettings(Tls):
    """The `[dead_man]` table: `url`, or `url_file` that holds it and is read at each ping, and how it is pinged."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    url: SecretStr | None = None
    url_file: Path | None = None
    every: Annotated[Duration, Field(ge=timedelta(seconds=5))] = timedelta(minutes=1)
    method: Literal["GET", "HEAD", "POST"] = "GET"
    timeout: Annotated[Duration, Field(ge=timedelta(milliseconds=100))] = timedelta(seconds=10)

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, value: SecretStr | None) -> SecretStr | None:
        if value:
            _address(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _is_given_once(self) -> Self:
        if self.url and self.url_file:
            raise ValueError("url and url_file are given: one of them is enough")
        return self

    @property
    def is_wanted(self) -> bool:
        """Tell whether there is anything to ping."""
        return bool(self.url or self.url_file)

    def address(self) -> httpx.URL:
        """Return the address as it is now; raise `OSError` or `ValueError` if its file does not hold one."""
        if self.url_file:
            return _address(self.url_file.expanduser().read_text(encoding="utf-8").strip())
        return _address(self.url.get_secret_value() if self.url else "")


class Outcome(StrEnum):
    """What became of a ping, as it is logged when it is not what became of the one before."""

    PINGED = "the dead man's switch is pinged"
    WITHHELD = "the dead man's switch is not pinged while something is missing"
    FAILED = "the dead man's switch cannot be pinged, trying again"


class DeadMan:
    """Pings at the interval while nothing is `missing`; what is missing is told in words."""

    def __init__(
        self,
        settings: DeadManSettings,
        missing: Callable[[], Sequence[str]],
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._settings = settings
        self._missing = missing
        self._sleep = sleep
        self._outcome = Outcome.WITHHELD

    async def keep_pinging(self) -> None:
        """Ping for ever, whatever comes of it; return at once if there is nothing to ping.

        Raise `ConfigError` at the start if certificates cannot be used.
        """
        if not self._settings.is_wanted:
            return
        async with _client(self._settings) as client:
            while True:
                await self._sleep(await self._turn(client))

    async def _turn(self, client: httpx.AsyncClient) -> float:
        """Ping, unless something is missing; return how many seconds to wait now."""
        begun = time.monotonic()
        if missing := self._missing():
            self._tell(Outcome.WITHHELD, missing=list(missing))
            return LOOK_SECONDS
        error = await _ping(client, self._settings)
        self._tell(Outcome.FAILED, error=error) if error else self._tell(Outcome.PINGED)
        return max(0.0, begun + self._settings.every.total_seconds() - time.monotonic())

    def _tell(self, outcome: Outcome, **details: object) -> None:
        if outcome is not self._outcome:
            log = logger.info if outcome is Outcome.PINGED else logger.warning
            log(outcome.value, **details)
        self._outcome = outcome


def _client(settings: DeadManSettings) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        verify=settings.context(),
        follow_redirects=True,
        timeout=None,  # noqa: S113 - a ping has one as a whole
        limits=httpx.Limits(max_keepalive_connections=0),
        headers={"user-agent": "prefect-streamer"},
    )


async def _ping(client: httpx.AsyncClient, settings: DeadManSettings) -> str | None:
    """Return what went wrong, in words that hold nothing of the address; None if the ping was taken."""
    try:
        return await _send(client, settings, settings.address())
    except (OSError, ValueError) as error:
        return f"url_file: {error}"


async def _send(client: httpx.AsyncClient, settings: DeadManSettings, address: httpx.URL) -> str | None:
    seconds = settings.timeout.total_seconds()
    try:
        async with asyncio.timeout(seconds), client.stream(settings.method, address) as answer:
            return None if answer.is_success else f"it answered {answer.status_code}"
    except TimeoutError:
        return f"it did not answer within {seconds:g} s"
    except httpx.ConnectError as error:
        return str(error).replace(address.host, "…") or "it cannot be connected to"
    except Exception as error:  # noqa: BLE001 - nothing that a ping meets may end the service, or be quoted
        return type(error).__name__


def _address(text: str) -> httpx.URL:
    """Return the address; what is wrong with it is not repeated."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("an address starts with https:// or http://, and special characters in it are written as %XX")
    return url
