"""`https://host/path` — each record as an HTTP request, in order; the ack is an answer of 2xx."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import SplitResult

from streamer.model import Record
from streamer.sinks.formats import messages
from streamer.sinks.http_client import HttpClient
from streamer.sinks.webhook_answers import refusal
from streamer.sinks.webhook_options import WebhookOptions
from streamer.sinks.webhook_requests import Post, batched, signed, single


class WebhookSink:
    """Send requests one after the other. Of a write that failed, what was taken already is not sent again."""

    Options = WebhookOptions

    def __init__(self, options: WebhookOptions) -> None:
        self._options = options
        self._encoder = options.encoder()
        self._client = HttpClient(options)
        self._taken: set[str] = set()

    @staticmethod
    def options_from(url: SplitResult) -> Mapping[str, Any]:
        """Return the url; its query are options, so a url that has a query of its own is given as the option `url`."""
        return {"url": url._replace(query="", fragment="").geturl()}

    async def open(self) -> None:
        """Send nothing, as that would be a delivery; make sure that the files of secrets can be read."""
        self._options.all_headers()
        self._options.signer()

    async def write(self, records: Sequence[Record], /) -> None:
        """Send what was not taken yet."""
        outgoing = messages(self._encoder, records)
        if todo := [message for message in outgoing if message.id not in self._taken]:
            headers, signer = self._options.all_headers(), self._options.signer()
            for post in [batched(todo)] if self._options.batch else map(single, todo):
                now = datetime.now(UTC)
                await self._send(post, {**headers, **post.headers, **signed(post, signer, now)}, now)
                self._taken.update(post.ids)
        self._taken.difference_update(message.id for message in outgoing)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _send(self, post: Post, headers: Mapping[str, str], now: datetime) -> None:
        answer = await self._client.ask(self._options.method, self._options.url, headers=headers, body=post.body)
        if error := refusal(answer, where=self._options.place, now=now):
            raise error
