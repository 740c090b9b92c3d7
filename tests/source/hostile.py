"""A websocket server made of bare sockets: it says what no library would let it say."""

import asyncio
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Self

import orjson
from websockets.frames import Frame, Opcode
from websockets.utils import accept_key

from streamer.testing import an_event


class Peer:
    """The server's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def upgrade(self, **headers: str) -> None:
        """Read the request and agree to the upgrade; `headers` replaces those of the answer."""
        head = (await self.request()).decode()
        key = next(line.split(": ")[1] for line in head.splitlines() if line.lower().startswith("sec-websocket-key"))
        answer = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Protocol": "prefect"}
        answer |= {"Sec-WebSocket-Accept": accept_key(key)} | {key.replace("_", "-"): headers[key] for key in headers}
        self.write(b"HTTP/1.1 101 Switching Protocols\r\n")
        self.write("".join(f"{name}: {value}\r\n" for name, value in answer.items()).encode() + b"\r\n")

    async def subscribe(self) -> None:
        """Go through the whole conversation, up to where events are sent."""
        await self.upgrade()
        await self.hear()
        self.say(b'{"type":"auth_success"}')
        await self.hear()

    async def request(self) -> bytes:
        """Return the head of a request."""
        return await self._reader.readuntil(b"\r\n\r\n")

    async def hear(self) -> tuple[Opcode, bytes]:
        """Return the next frame of the client."""
        first, length = await self._reader.readexactly(2)
        size = length & 0x7F
        if size == 126:
            size = int.from_bytes(await self._reader.readexactly(2))
        mask = await self._reader.readexactly(4)
        data = bytes(byte ^ mask[at % 4] for at, byte in enumerate(await self._reader.readexactly(size)))
        return Opcode(first & 0x0F), data

    def say(self, data: bytes, opcode: Opcode = Opcode.TEXT, *, fin: bool = True) -> None:
        """Send a frame."""
        self.write(Frame(opcode, data, fin).serialize(mask=False))

    def tell(self, event: dict[str, object] | None = None) -> None:
        """Send an event, as Prefect would."""
        self.say(orjson.dumps({"type": "event", "event": event or an_event()}))

    def write(self, data: bytes) -> None:
        """Send bytes that need be no frame."""
        self._writer.write(data)

    def close(self, code: int) -> None:
        """Send a close frame."""
        self.say(struct.pack("!H", code) + b"because", Opcode.CLOSE)

    def reset(self) -> None:
        """End the connection without a word."""
        self._writer.transport.abort()

    async def leave(self) -> None:
        """Hang up when what was said is sent."""
        await self._writer.drain()
        self._writer.close()

    async def goodbye(self) -> None:
        """Return when the client says goodbye, or is gone."""
        while (await self.hear())[0] is not Opcode.CLOSE:
            pass

    async def silence(self) -> None:
        """Keep the connection, answer nothing."""
        while await self._reader.read(65536):
            pass


Way = Callable[[Peer], Awaitable[None]]
"""How a server treats a connection, which ends when this does."""


async def stay(peer: Peer) -> None:
    """Be a good server that has an event at once, and no other."""
    await peer.subscribe()
    peer.tell()
    await peer.goodbye()


class Hostile:
    """`async with Hostile(way, …) as server:` — each connection is treated in the next way, all others in the last."""

    def __init__(self, *ways: Way) -> None:
        self.attempts = 0
        self._ways = ways
        self._open: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.api_url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/api"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        way = self._ways[min(self.attempts, len(self._ways) - 1)]
        self.attempts += 1
        task = asyncio.current_task()
        assert task
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        peer = Peer(reader, writer)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await way(peer)
        finally:
            writer.close()
