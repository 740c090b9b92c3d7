"""`https://host/path` — each record as an HTTP request, in order; the ack is an answer of 2xx."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import SplitResult

import httpx

from streamer.errors import Retry
from streamer.model import Record
from streamer.sinks.formats import messages
from streamer.sinks.webhook_answers import Answer, refusal
from streamer.sinks.webhook_options import WebhookOptions
from streamer.sinks.webhook_requests import Post, batched, signed, single

MOST_BYTES_OF_AN_ANSWER = 4096


class WebhookSink:
    """Send requests one after the other. Of a write that failed, what was taken already is not sent again."""

    Options = WebhookOptions

    def __init__(self, options: WebhookOptions) -> None:
        self._options = options
        self._encoder = options.encoder()
        self._client = _client(options)
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
        await self._client.aclose()

    async def _send(self, post: Post, headers: Mapping[str, str], now: datetime) -> None:
        answer = await self._answer(post, headers)
        answer = answer._replace(text=self._options.masked(answer.text, headers))
        if error := refusal(answer, where=self._options.place, now=now):
            raise error

    async def _answer(self, post: Post, headers: Mapping[str, str]) -> Answer:
        """Send, and read the beginning of the answer; after a failure the next request has a new connection."""
        method, url, seconds = self._options.method, self._options.url, self._options.timeout
        try:
            async with (
                asyncio.timeout(seconds),
                self._client.stream(method, url, content=post.body, headers=headers) as response,
            ):
                return Answer(response.status_code, response.headers, await _beginning(response))
        except TimeoutError as error:
            await self._reconnect()
            raise Retry(f"{self._options.place} did not answer within {seconds:g} s") from error
        except httpx.HTTPError as error:
            await self._reconnect()
            raise Retry(f"{self._options.place}: {str(error) or type(error).__name__}") from error

    async def _reconnect(self) -> None:
        """Begin anew, certificates included: they may have been replaced."""
        old, self._client = self._client, _client(self._options)
        await old.aclose()


def _client(options: WebhookOptions) -> httpx.AsyncClient:
    proxy = options.proxy.get_secret_value() if options.proxy else None
    return httpx.AsyncClient(
        verify=options.context(),
        proxy=None if proxy == "none" else proxy,
        trust_env=proxy is None,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        timeout=None,  # noqa: S113 - a request has one as a whole
        headers={"user-agent": "prefect-streamer", "accept-encoding": "identity"},
    )


async def _beginning(response: httpx.Response) -> str:
    body = b""
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MOST_BYTES_OF_AN_ANSWER:
            break
    return body[:MOST_BYTES_OF_AN_ANSWER].decode(errors="replace")
