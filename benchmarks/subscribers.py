"""The websockets of a Prefect server's `/events/out`, to which frames are written that were made before."""

import asyncio
import struct
from itertools import count

import orjson
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from schemas.messages import EVENT_MESSAGE_START

AT_ONCE = 64 * 1024
AHEAD = 1024 * 1024
"""So many bytes are written before the socket has taken them."""

PATIENCE_SECONDS = 30


class Subscribers:
    """Whoever subscribed and is there."""

    def __init__(self) -> None:
        self._writers: set[asyncio.StreamWriter] = set()
        self._some = asyncio.Event()

    async def converse(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Go through Prefect's handshake (prefect.md 1), and answer pings until the other side leaves."""
        protocol = ServerProtocol(subprotocols=[Subprotocol("prefect")])
        writer.transport.set_write_buffer_limits(high=AHEAD)
        messages, received = count(1), head
        while received:
            protocol.receive_data(received)
            for event in protocol.events_received():
                if isinstance(event, Request):
                    protocol.send_response(protocol.accept(event))
                elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                    self._hear(next(messages), protocol, writer)
            writer.writelines(protocol.data_to_send())
            received = await reader.read(AT_ONCE)
        self._writers.discard(writer)
        writer.close()

    def _hear(self, message: int, protocol: ServerProtocol, writer: asyncio.StreamWriter) -> None:
        if message == 1:
            protocol.send_text(orjson.dumps({"type": "auth_success"}))
        else:
            self._writers.add(writer)
            self._some.set()

    async def some(self) -> None:
        """Return once somebody has subscribed."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._some.wait()

    def write(self, frame: bytes) -> None:
        """Write a frame to each."""
        for writer in self._writers:
            writer.write(frame)

    async def flood(self, frames: bytes) -> None:
        """Write frames to each, as fast as the sockets take them."""
        await asyncio.gather(*(_flood(writer, frames) for writer in self._writers))


async def _flood(writer: asyncio.StreamWriter, frames: bytes) -> None:
    for start in range(0, len(frames), AT_ONCE):
        writer.write(frames[start : start + AT_ONCE])
        await writer.drain()


def frame_of(event: bytes) -> bytes:
    """Return the websocket's text frame of an event's JSON."""
    message = EVENT_MESSAGE_START + event + b"}"
    return struct.pack(">BBH", 0x81, 126, len(message)) + message
