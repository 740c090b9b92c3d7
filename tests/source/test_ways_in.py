"""Keys, certificates and proxies, over both ways: REST and websocket."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme

from streamer.clock import ServerClock
from streamer.errors import AuthenticationFailed, ConnectionLost
from streamer.health import SourceHealth
from streamer.instruments import Instruments
from streamer.source.api import Api
from streamer.source.connection import Connection, tls_context
from streamer.source.live import LiveSource
from streamer.testing import FakePrefect


async def reach(connection: Connection, clock: ServerClock) -> None:
    """Use both ways, or raise."""
    async with Api(connection, clock, Instruments()) as api:
        await api.hello()
    await LiveSource(connection, SourceHealth("default", Instruments()), clock).try_once()


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def secure(authority: trustme.CA, tmp_path: Path) -> AsyncIterator[FakePrefect]:
    """A server with a certificate that only our own authority vouches for."""
    certificate = authority.issue_cert("127.0.0.1")
    key, chain = tmp_path / "key.pem", tmp_path / "chain.pem"
    certificate.private_key_pem.write_to_path(key)
    certificate.cert_chain_pems[0].write_to_path(chain)
    async with FakePrefect(tls=(str(chain), str(key))) as server:
        yield server


async def test_clouds_key_goes_in_the_header_and_in_the_auth_message(clock: ServerClock) -> None:
    async with FakePrefect(api_key="pnu_right") as server:
        await reach(Connection(server.api_url, api_key=lambda: "pnu_right"), clock)


async def test_wrong_key_is_refused_on_both_ways(clock: ServerClock) -> None:
    async with FakePrefect(api_key="pnu_right") as server:
        connection = Connection(server.api_url, api_key=lambda: "pnu_wrong")
        async with Api(connection, clock, Instruments()) as api:
            with pytest.raises(AuthenticationFailed):
                await api.hello()
        with pytest.raises(AuthenticationFailed):
            await LiveSource(connection, SourceHealth("default", Instruments()), clock).try_once()


async def test_certificate_of_a_custom_authority_is_trusted_when_told(
    secure: FakePrefect, authority: trustme.CA, clock: ServerClock, tmp_path: Path
) -> None:
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    await reach(Connection(secure.api_url, tls=tls_context(ca_file=ca_file)), clock)


async def test_unknown_certificate_is_refused(secure: FakePrefect, clock: ServerClock) -> None:
    connection = Connection(secure.api_url, tls=tls_context())
    with pytest.raises(ConnectionLost, match="CERTIFICATE_VERIFY_FAILED"):
        await reach(connection, clock)
    with pytest.raises(ConnectionLost, match="CERTIFICATE_VERIFY_FAILED"):
        await LiveSource(connection, SourceHealth("default", Instruments()), clock).try_once()


async def test_any_certificate_is_trusted_when_insecure(secure: FakePrefect, clock: ServerClock) -> None:
    context = tls_context(insecure=True)
    assert context.verify_mode is ssl.CERT_NONE
    await reach(Connection(secure.api_url, tls=context), clock)


class Proxy:
    """An HTTP proxy that knows CONNECT and plain requests for one host, and counts."""

    def __init__(self, target: str) -> None:
        self.asked: list[str] = []
        self._target = target
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, _, rest = head.partition(b" ")
        self.asked.append(method.decode())
        host, port = self._target.split(":")
        inward, outward = await asyncio.open_connection(host, int(port))
        if method == b"CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            outward.write(method + b" /" + rest.split(b"/", 3)[3])
        await asyncio.gather(_pipe(reader, outward), _pipe(inward, writer))


async def _pipe(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        target.write(data)
    target.close()


@asynccontextmanager
async def proxying(target: str) -> AsyncIterator[Proxy]:
    proxy = Proxy(target)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()


async def test_proxy_is_used_for_both_ways(server: FakePrefect, clock: ServerClock) -> None:
    async with proxying(server.api_url.split("/")[2]) as proxy:
        await reach(Connection(server.api_url, proxy=proxy.url), clock)
    assert proxy.asked == ["POST", "CONNECT"]


async def test_proxy_of_the_environment_is_used_for_both_ways_unless_told_not_to(
    server: FakePrefect, clock: ServerClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with proxying(server.api_url.split("/")[2]) as proxy:
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("http_proxy", proxy.url)
        await reach(Connection(server.api_url, trust_proxy_environment=False), clock)
        assert proxy.asked == []
        await reach(Connection(server.api_url), clock)
    assert proxy.asked == ["POST", "CONNECT"]
