"""The web server: Uvicorn on a socket of our own."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import uvicorn

from streamer.config import Settings
from streamer.errors import ConfigError


def listen(settings: Settings) -> socket.socket:
    """Return a socket at the address of the settings; raise `ConfigError` if that cannot be had."""
    host, port = settings.listen_address
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        hint = "another service may be there: choose another with --listen HOST:PORT"
        raise ConfigError(f"cannot listen on {settings.listen}: {error.strerror}", hint) from error
    # asyncio does this for sockets of its own making; without it each answer waits 40 ms for the client's ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


class _Server(uvicorn.Server):
    """Uvicorn, but signals are ours."""

    def capture_signals(self) -> Any:
        return nullcontext()


@asynccontextmanager
async def serving(app: Any, listener: socket.socket) -> AsyncIterator[None]:
    """Answer at a socket."""
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1)
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="web")
    try:
        yield
    finally:
        server.should_exit = True
        await serving
