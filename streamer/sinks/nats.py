"""`nats://host:4222/SUBJECT` — each record as a message of a JetStream stream, once within its duplicate window."""

import asyncio
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote

from nats.aio.client import Client
from nats.errors import Error, NoServersError
from nats.js import JetStreamContext
from nats.js.api import Header, StreamConfig
from nats.js.errors import APIError, NoStreamResponseError, NotFoundError
from pydantic import Field

from streamer.errors import ConfigError, Reject, Retry
from streamer.model import Record
from streamer.sinks.brokers import login_in, servers_in, topic_of
from streamer.sinks.formats import Formatted, Message, messages
from streamer.sinks.link import ANSWER_SECONDS, Link, all_unless_lost
from streamer.sinks.options import Login, Tls

CONNECT_SECONDS = 5
DUPLICATE_WINDOW_SECONDS = 3600
TOO_LARGE_FOR_THE_STREAM = 10054


class NatsSink:
    """Publish to JetStream. A message's `Nats-Msg-Id` is the event's id, by which the stream knows a repetition."""

    class Options(Formatted, Login, Tls):
        """`servers` as `host:port,host:port`; `subject`, to which `by_state` appends what the record is about.

        `stream` is made if it is missing. A password without a user is a token; `creds_file` is what `nsc` makes.
        """

        servers: str = "127.0.0.1:4222"
        subject: str = Field(pattern=r"^[^\s.*>]+(\.[^\s.*>]+)*$")
        by_state: bool = False
        stream: str | None = None
        creds_file: Path | None = None

    def __init__(self, options: Options) -> None:
        if options.creds_file and find_spec("nkeys") is None:
            raise ConfigError("creds_file needs nkeys, which is not installed", hint="pip install 'nats-py[nkeys]'")
        self._options = options
        self._encoder = options.encoder()
        self._tls = options.context()
        self._lost = asyncio.Event()
        self._link = Link(
            f"NATS at {options.servers}", make=Client, connect=self._connect, disconnect=Client.close, errors=(Error,)
        )

    @staticmethod
    def options_from(url: SplitResult) -> Mapping[str, Any]:
        """Return servers and subject of `nats://host:4222,other:4222/SUBJECT`; `nats://TOKEN@host` gives a token."""
        login = login_in(url)
        token = {"password": login["username"]} if login.keys() == {"username"} else login
        given = {"servers": servers_in(url), "subject": unquote(url.path.lstrip("/"))}
        return {name: value for name, value in given.items() if value} | token

    async def open(self) -> None:
        """Connect, and make the stream if there is one to make."""
        async with self._link.use():
            pass

    async def write(self, records: Sequence[Record], /) -> None:
        """Publish in order, and return when the stream has acknowledged each."""
        async with self._link.use() as client:
            batch = messages(self._encoder, records)
            for message in batch:
                _refuse_if_larger(message, client.max_payload)
            jetstream = client.jetstream(timeout=ANSWER_SECONDS)
            await all_unless_lost(self._lost.wait(), (self._publish(jetstream, message) for message in batch))

    async def close(self) -> None:
        """Disconnect."""
        await self._link.close()

    async def _connect(self, client: Client) -> None:
        causes: list[Exception] = []
        lost = self._lost = asyncio.Event()

        async def note(error: Exception) -> None:
            causes.append(error)

        async def lose() -> None:
            lost.set()

        try:
            await client.connect(
                [f"nats://{server}" for server in self._options.servers.split(",")],
                error_cb=note,
                closed_cb=lose,
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=CONNECT_SECONDS,
                tls=self._tls,
                **self._credentials(),
            )
        except NoServersError as error:
            raise (causes or [error])[-1] from error
        await self._ensure_stream(client.jetstream())

    def _credentials(self) -> Mapping[str, Any]:
        options = self._options
        if options.creds_file:
            return {"user_credentials": options.creds_file}
        if options.username:
            return {"user": options.username, "password": options.secret()}
        return {"token": options.secret()}

    async def _ensure_stream(self, jetstream: JetStreamContext) -> None:
        name, subject = self._options.stream, self._options.subject
        if not name:
            return
        try:
            await jetstream.stream_info(name)
        except NotFoundError:
            subjects = [f"{subject}.>" if self._options.by_state else subject]
            config = StreamConfig(name=name, subjects=subjects, duplicate_window=DUPLICATE_WINDOW_SECONDS)
            await jetstream.add_stream(config)

    async def _publish(self, jetstream: JetStreamContext, message: Message) -> None:
        subject = self._options.subject
        if self._options.by_state:
            subject = f"{subject}.{topic_of(message.record)}"
        try:
            await jetstream.publish(subject, message.body, headers=_headers(message))
        except NoStreamResponseError as error:
            raise Retry(f"no stream of NATS takes {subject!r}", hint="make one, or set `stream`") from error
        except APIError as error:
            if error.err_code == TOO_LARGE_FOR_THE_STREAM:
                raise Reject(f"the stream does not take {len(message.body)} bytes") from error
            raise


def _headers(message: Message) -> dict[str, str]:
    attributes = {f"ce-{name}": value for name, value in message.attributes.items()}
    return {Header.MSG_ID: message.id, "Content-Type": message.content_type, **attributes}


def _refuse_if_larger(message: Message, limit: int) -> None:
    """Refuse here what the server would answer by closing the connection."""
    size = len(message.body) + sum(len(f"{name}: {value}\r\n".encode()) for name, value in _headers(message).items())
    if size + len("NATS/1.0\r\n\r\n") > limit:
        raise Reject(f"NATS takes no more than {limit} bytes in a message, and these are {size}")
