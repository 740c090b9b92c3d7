"""What a notebook asks: of the local store, or of a running service.

>>> from streamer.client import Client
>>> Client().history(since="24h", interval="1h")  # doctest: +SKIP
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import httpx
from pydantic import TypeAdapter

from streamer import config
from streamer.durations import Duration
from streamer.errors import ConfigError, SourceError
from streamer.reports import Bucket, Span, span_until
from streamer.store.sqlite import SqliteStore

__all__ = ["Client"]

SECONDS = 30.0

_DURATION: TypeAdapter[timedelta] = TypeAdapter(Duration)
_BUCKETS: TypeAdapter[list[Bucket]] = TypeAdapter(list[Bucket])


class Client:
    """`Client()` asks the store that the settings name, `Client("sqlite:///…")` another, and
    `Client("http://host:4280")` a running service.
    """

    def __init__(self, place: str | None = None) -> None:
        self._url = place.rstrip("/") if place and place.startswith(("http://", "https://")) else None
        self._path = None if self._url else config.load(store=place).store_path

    def history(
        self, *, since: str | timedelta = "24h", interval: str | timedelta = "1h", flows: Sequence[str] = ()
    ) -> list[Bucket]:
        """Return how many runs were due in each interval up to now, by their present state, oldest first.

        The buckets have the shape of Prefect's `POST /flow_runs/history`: `interval_start`, `interval_end`, and
        `states`, each with `state_type`, `state_name`, `count_runs`, `sum_estimated_run_time` and
        `sum_estimated_lateness` in seconds. At most 500 of them; raise `ConfigError` for what cannot be asked.
        """
        try:
            span = span_until(
                datetime.now(UTC),
                since=_DURATION.validate_python(since),
                interval=_DURATION.validate_python(interval),
                flows=flows,
            )
        except ValueError as error:
            raise ConfigError(str(error)) from None
        return self._ask_service(since, interval, flows) if self._url else asyncio.run(self._ask_store(span))

    def _ask_service(self, since: str | timedelta, interval: str | timedelta, flows: Sequence[str]) -> list[Bucket]:
        asked = {"since": _in_seconds(since), "interval": _in_seconds(interval), "flow": list(flows)}
        try:
            response = httpx.get(f"{self._url}/api/history", params=asked, timeout=SECONDS, trust_env=False)
            return _BUCKETS.validate_json(response.raise_for_status().content)
        except (httpx.HTTPError, ValueError) as error:
            raise SourceError(f"{self._url} does not answer: {error}", hint="is it a streamer's address?") from error

    async def _ask_store(self, span: Span) -> list[Bucket]:
        assert self._path
        store = SqliteStore.open_read_only(self._path)
        try:
            return await store.run_history(span, now=datetime.now(UTC))
        finally:
            await store.close()


def _in_seconds(duration: str | timedelta) -> str:
    return f"{_DURATION.validate_python(duration).total_seconds()}s"
