"""Requests to one server, one at a time; after a failure the next has a new connection."""

import asyncio
from collections.abc import Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

from streamer.errors import Retry
from streamer.sinks.http_options import Http, place_of
from streamer.sinks.webhook_answers import Answer

MOST_BYTES_OF_AN_ANSWER = 4096


class HttpClient:
    """`await client.ask("POST", url, body=…, headers=…)`; what it cannot do is `Retry`."""

    def __init__(self, options: Http) -> None:
        self._options = options
        self._client = _client(options)

    async def ask(self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
        """Send, and return the beginning of the answer, without what it repeats of our credentials."""
        seconds = self._options.timeout
        try:
            async with (
                asyncio.timeout(seconds),
                self._client.stream(method, url, content=body, headers=headers) as response,
            ):
                text = self._options.masked(await _beginning(response), headers)
                return Answer(response.status_code, response.headers, text)
        except TimeoutError as error:
            await self._reconnect()
            raise Retry(f"{place_of(url)} did not answer within {seconds:g} s") from error
        except httpx.HTTPError as error:
            await self._reconnect()
            raise Retry(f"{place_of(url)}: {str(error) or type(error).__name__}") from error

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _reconnect(self) -> None:
        """Begin anew, certificates included: they may have been replaced."""
        old, self._client = self._client, _client(self._options)
        await old.aclose()


def _client(options: Http) -> httpx.AsyncClient:
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
