"""`amqp://host:5672/EXCHANGE` — each record as a persistent message to a topic exchange of RabbitMQ.

A message counts as delivered when the broker has confirmed it. By default it must also have reached a queue: what
nobody has bound a queue for would be lost.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import SplitResult, unquote

from aio_pika import Connection, DeliveryMode, ExchangeType
from aio_pika import Message as AmqpMessage
from aio_pika.abc import AbstractExchange
from aio_pika.connection import make_url
from aio_pika.exceptions import AMQPError, ChannelPreconditionFailed, DeliveryError, InvalidFrameError, PublishError
from pydantic import Field

from streamer.errors import Reject, Retry
from streamer.model import Record
from streamer.sinks.brokers import server_in, topic_of
from streamer.sinks.formats import Formatted, Message, messages
from streamer.sinks.link import Link
from streamer.sinks.options import Login, Tls

CONNECT_SECONDS = 10.0


class RabbitmqSink:
    """Publish with the routing key of what a record is about, such as `flow_run.completed`, and the event's id."""

    class Options(Formatted, Login, Tls):
        """`host`, `port`, `vhost`; `exchange`, made if it is missing unless not to `declare`; `tls`.

        Without `mandatory`, the broker drops what no queue is bound for.
        """

        host: str = "127.0.0.1"
        port: int = Field(5672, gt=0, lt=2**16)
        vhost: str = "/"
        exchange: str = Field(min_length=1)
        declare: bool = True
        mandatory: bool = True
        tls: bool = False

    def __init__(self, options: Options) -> None:
        self._options = options
        self._encoder = options.encoder()
        self._tls = options.context() if options.tls else None
        self._exchange: AbstractExchange | None = None
        self._link = Link(
            f"RabbitMQ at {options.host}:{options.port}",
            make=self._make,
            connect=self._connect,
            disconnect=Connection.close,
            errors=(AMQPError,),
        )

    @staticmethod
    def options_from(url: SplitResult) -> Mapping[str, Any]:
        """Return server and exchange of `amqp://host:5672/EXCHANGE`; a virtual host is an option of its own."""
        exchange = unquote(url.path.lstrip("/"))
        return server_in(url) | ({"exchange": exchange} if exchange else {})

    async def open(self) -> None:
        """Connect, and see to the exchange."""
        async with self._link.use():
            pass

    async def write(self, records: Sequence[Record], /) -> None:
        """Publish in order, and return when the broker has confirmed each."""
        batch = messages(self._encoder, records)
        async with self._link.use():
            await asyncio.gather(*map(self._publish, batch))

    async def close(self) -> None:
        """Disconnect."""
        await self._link.close()

    def _make(self) -> Connection:
        options = self._options
        url = make_url(
            host=options.host,
            port=options.port,
            virtualhost=options.vhost,
            ssl=options.tls,
            login=options.username or "guest",
            password=options.secret() or "guest",
        )
        return Connection(url, ssl_context=self._tls, client_properties={"connection_name": "streamer"})

    async def _connect(self, connection: Connection) -> None:
        try:
            await connection.connect(timeout=CONNECT_SECONDS)
        except InvalidFrameError as error:  # all that the library tells of a refusal at this stage
            vhost = self._options.vhost
            raise Retry(f"RabbitMQ has no virtual host {vhost!r}, or not for this user") from error
        channel = connection.channel(on_return_raises=True)
        await channel.initialize()
        name, passive = self._options.exchange, not self._options.declare
        self._exchange = await channel.declare_exchange(name, ExchangeType.TOPIC, durable=True, passive=passive)

    async def _publish(self, message: Message) -> None:
        assert self._exchange
        key = topic_of(message.record)
        try:
            await self._exchange.publish(_amqp(message), key, mandatory=self._options.mandatory)
        except PublishError as error:
            raise Retry(
                f"no queue is bound to the exchange {self._exchange.name!r} for {key!r}",
                hint="bind one to '#', have `match` select less, or set mandatory = false",
            ) from error
        except DeliveryError as error:
            raise Retry(f"RabbitMQ does not take {key!r} now: a queue is full, or has failed") from error
        except ChannelPreconditionFailed as error:
            raise Reject(f"RabbitMQ refuses a message of {len(message.body)} bytes: {error}") from error


class SecureRabbitmqSink(RabbitmqSink):
    """`amqps://` — the same over TLS."""

    class Options(RabbitmqSink.Options):
        """Those of `rabbitmq`."""

        port: int = Field(5671, gt=0, lt=2**16)
        tls: bool = True


def _amqp(message: Message) -> AmqpMessage:
    return AmqpMessage(
        message.body,
        message_id=message.id,
        delivery_mode=DeliveryMode.PERSISTENT,
        content_type=message.content_type,
        timestamp=message.record.event.occurred,
        headers={f"cloudEvents:{name}": value for name, value in message.attributes.items()},
    )
