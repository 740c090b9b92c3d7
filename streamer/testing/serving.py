"""An ASGI application on a port of its own, in this process, that leaves at once."""

import asyncio
import socket
from contextlib import nullcontext
from typing import Any, Self

import uvicorn


class Serving:
    """`async with Serving(app) as serving:` — it is at `serving.url`. `tls` is a certificate's and a key's file."""

    def __init__(self, app: Any, *, tls: tuple[str, str] | None = None) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        # asyncio does this for sockets of its own making; without it each answer waits 40 ms for the client's ACK.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        files: dict[str, Any] = {"ssl_certfile": tls[0], "ssl_keyfile": tls[1]} if tls else {}
        self._server = _Server(uvicorn.Config(app, log_config=None, lifespan="off", date_header=False, **files))
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._socket.getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._serving = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.leave()
        await self._serving
        self._socket.close()


class _Server(uvicorn.Server):
    """Uvicorn whose signals are the test's."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._leaving = asyncio.Event()

    def capture_signals(self) -> Any:
        return nullcontext()

    async def main_loop(self) -> None:
        await self._leaving.wait()

    def leave(self) -> None:
        self.force_exit = True
        self._leaving.set()
