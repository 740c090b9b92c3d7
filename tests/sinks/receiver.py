"""A receiver of webhooks that does what a test tells it, TLS and bad manners included."""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import NamedTuple, Self

from standardwebhooks import Webhook


class Request(NamedTuple):
    """A request as it came; names of headers are in lower case."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def verify(self, secret: str) -> None:
        Webhook(secret).verify(self.body, self.headers)


class Reply(NamedTuple):
    """What to answer; with status 0 the connection is dropped, with status 1 there is silence."""

    status: int = 200
    headers: Mapping[str, str] = {}
    body: str = ""


DROP, SILENCE = Reply(0), Reply(1)


class Receiver:
    """`async with Receiver() as receiver:` — it answers with what `reply` returns, and keeps what came."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self.reply: Callable[[Request], Reply] = lambda _: Reply()
        self._tls = tls
        self._port = 0

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}/hook"

    def answers(self, *replies: Reply) -> None:
        """Give these answers one after the other, then 200."""
        coming = iter(replies)
        self.reply = lambda _: next(coming, Reply())

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port, ssl=self._tls)
        self._port = self._server.sockets[0].getsockname()[1]
        self._serving: set[asyncio.Task[None] | None] = set()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._serving:
            assert task
            task.cancel()
        await asyncio.gather(*filter(None, self._serving), return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._serving.add(asyncio.current_task())
        try:
            while request := await _read(reader):
                reply = self.reply(request)
                self.requests.append(request)
                if reply is SILENCE:
                    await asyncio.Event().wait()
                if reply is DROP:
                    break
                writer.write(_bytes(reply))
                await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()


async def _read(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    except asyncio.IncompleteReadError:
        return None
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    return Request(head[0], headers, await reader.readexactly(int(headers.get("content-length", 0))))


def _bytes(reply: Reply) -> bytes:
    body = reply.body.encode()
    headers = {"content-length": str(len(body)), **reply.headers}
    lines = [f"HTTP/1.1 {reply.status} It", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode() + body
