"""`alertmanager://host:9093` — alerts for Prometheus' Alertmanager, told again and again until they are over."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import SplitResult
from uuid import UUID

import orjson
import structlog

from schemas import Kind
from streamer.alert_message import is_over, situation_of
from streamer.errors import Reject
from streamer.model import Record
from streamer.sinks.alertmanager_alerts import Json, as_alert
from streamer.sinks.alertmanager_options import AlertmanagerOptions
from streamer.sinks.brokers import login_in, servers_in
from streamer.sinks.formats import JSON
from streamer.sinks.http_client import HttpClient
from streamer.sinks.http_options import place_of
from streamer.sinks.webhook_answers import refusal
from streamer.surroundings import NO_DETAILS, RunDetails

MOST_ASKED_ABOUT = 10
"""Of how many alerts in a write the details are asked for; more of them at once are one trouble, not many."""

logger = structlog.get_logger(__name__)


class AlertmanagerSink:
    """Post to every instance of a cluster; what one of them has taken is taken, as Prometheus has it.

    Alertmanager forgets what it has when it starts again, and what nobody repeats: hence what fires is repeated, which
    also brings it to an instance that was away. One lock keeps a repetition from coming after the news that it is over.
    """

    Options = AlertmanagerOptions
    kinds = (Kind.ALERT,)

    def __init__(self, options: AlertmanagerOptions) -> None:
        self._options = options
        self._clients = {url: HttpClient(options) for url in options.bases}
        self._turn = asyncio.Lock()
        self._told: dict[UUID, Json] = {}
        self._repeating: asyncio.Task[None] | None = None

    @staticmethod
    def options_from(url: SplitResult) -> Mapping[str, Any]:
        """Return the urls of `alertmanager://host:9093,other:9093/prefix`."""
        return _options_from(url, "http")

    async def open(self) -> None:
        """Make sure that one of them answers, and begin to repeat what fires."""
        headers = self._options.all_headers()
        await self._with_each("GET", "/api/v2/status", headers, None)
        if not self._repeating:
            self._repeating = asyncio.create_task(self._keep_repeating(), name="alertmanager")

    async def write(self, records: Sequence[Record], /) -> None:
        """Post all in one request each."""
        alerts = await self._alerts(records)
        async with self._turn:
            await self._post(alerts)

    async def close(self) -> None:
        """Repeat nothing any more, and disconnect."""
        if self._repeating:
            self._repeating.cancel()
            await asyncio.wait([self._repeating])
            self._repeating = None
        for client in self._clients.values():
            await client.close()

    async def _alerts(self, records: Sequence[Record]) -> list[Json]:
        lines = self._options.logs
        asked = [each for each in records if situation_of(each) and not is_over(each)][-MOST_ASKED_ABOUT:]
        surroundings = self._options.surroundings
        found = await asyncio.gather(*(surroundings.details(each, lines) for each in asked))
        details = {each.event.id: known for each, known in zip(asked, found, strict=True)}
        return [self._alert(each, details.get(each.event.id, NO_DETAILS)) for each in records]

    def _alert(self, record: Record, details: RunDetails) -> Json:
        """Return the alert, with the labels that its incident has already: it is known by them."""
        link = self._options.surroundings.link(record)
        alert = as_alert(record, labels=self._options.labels, details=details, link=link)
        if situation := situation_of(record):
            if told := self._told.get(situation.incident):
                alert["labels"] = told["labels"]
            self._told[situation.incident] = alert
        return alert

    async def _keep_repeating(self) -> None:
        trouble = None
        while True:
            try:
                await self._repeat()
                trouble = None
            except Exception as error:  # noqa: BLE001 - it tries again, and what is new is told in any case
                if trouble is None:
                    logger.warning("what fires cannot be repeated to Alertmanager", error=str(error))
                trouble = error
            await asyncio.sleep(self._options.refresh.total_seconds())

    async def _repeat(self) -> None:
        async with self._turn:
            firing = {each.incident: record for record in self._firing() if (each := situation_of(record))}
            self._told = {incident: told for incident, told in self._told.items() if incident in firing}
            await self._alerts([record for incident, record in firing.items() if not self._has_told(incident, record)])
            await self._post([self._told[incident] for incident in firing])

    def _has_told(self, incident: UUID, record: Record) -> bool:
        told = self._told.get(incident)
        return told is not None and told["annotations"]["id"] == str(record.event.id)

    def _firing(self) -> Sequence[Record]:
        return self._options.surroundings.firing()

    async def _post(self, alerts: Sequence[Json]) -> None:
        if alerts:
            headers = {**self._options.all_headers(), "content-type": JSON}
            await self._with_each("POST", "/api/v2/alerts", headers, orjson.dumps(alerts))

    async def _with_each(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> None:
        """Ask all instances at once; raise what is wrong if none of them takes it."""
        asking = (self._ask(base, method, path, headers, body) for base in self._clients)
        results = await asyncio.gather(*asking, return_exceptions=True)
        errors = [each for each in results if each is not None]
        if len(errors) == len(results):
            raise min(errors, key=lambda error: isinstance(error, Reject))

    async def _ask(self, base: str, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> None:
        answer = await self._clients[base].ask(method, base + path, headers=headers, body=body)
        if error := refusal(answer, where=place_of(base), now=datetime.now(UTC)):
            raise error


class SecureAlertmanagerSink(AlertmanagerSink):
    """`alertmanagers://` is Alertmanager with TLS."""

    @staticmethod
    def options_from(url: SplitResult) -> Mapping[str, Any]:
        """Return the urls of `alertmanagers://host:9093,other:9093/prefix`."""
        return _options_from(url, "https")


def _options_from(url: SplitResult, scheme: str) -> Mapping[str, Any]:
    servers = (servers_in(url) or "127.0.0.1:9093").split(",")
    return {"urls": [f"{scheme}://{server}{url.path}" for server in servers], **login_in(url)}
