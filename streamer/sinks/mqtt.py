"""`mqtt://host:1883/TOPIC` — each record as a message of MQTT 5 with quality of service 1."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import SplitResult, unquote

from aiomqtt import MqttError, ProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from pydantic import Field

from streamer.errors import Reject, Retry
from streamer.model import Record
from streamer.sinks.brokers import server_in, topic_of
from streamer.sinks.formats import Formatted, Message, messages
from streamer.sinks.link import ANSWER_SECONDS, Link, all_unless_lost
from streamer.sinks.mqtt_client import PublishingClient
from streamer.sinks.options import Login, Tls

CONNECT_SECONDS = 10.0
HEADER_BYTES = 9
"""The most there is besides topic, properties and body: the fixed header, the topic's length, the packet's number."""
NEVER_TAKEN = frozenset({"Packet too large", "Payload format invalid"})


class MqttSink:
    """Publish; a message's user properties are the event's `id` and what the format adds."""

    class Options(Formatted, Login, Tls):
        """`host`, `port`; `topic`, to which `by_state` appends what the record is about; `retain`; `tls`."""

        host: str = "127.0.0.1"
        port: int = Field(1883, gt=0, lt=2**16)
        topic: str = Field(pattern=r"^[^+#\x00]+$")
        by_state: bool = False
        retain: bool = False
        tls: bool = False

    def __init__(self, options: Options) -> None:
        self._options = options
        self._encoder = options.encoder()
        self._tls = options.context() if options.tls else None
        self._link = Link(
            f"MQTT at {options.host}:{options.port}",
            make=self._make,
            connect=PublishingClient.connect,
            disconnect=PublishingClient.disconnect,
            errors=(MqttError,),
        )

    @staticmethod
    def options_from(url: SplitResult) -> Mapping[str, Any]:
        """Return server and topic of `mqtt://host:1883/TOPIC`; a topic may have slashes."""
        topic = unquote(url.path.removeprefix("/"))
        return server_in(url) | ({"topic": topic} if topic else {})

    async def open(self) -> None:
        """Connect."""
        async with self._link.use():
            pass

    async def write(self, records: Sequence[Record], /) -> None:
        """Publish in order, and return when the broker has acknowledged each."""
        batch = messages(self._encoder, records)
        async with self._link.use() as client:
            await all_unless_lost(client.lost(), (self._publish(client, message) for message in batch))
            _heed(client)

    async def close(self) -> None:
        """Disconnect."""
        await self._link.close()

    def _make(self) -> PublishingClient:
        options = self._options
        return PublishingClient(
            options.host,
            options.port,
            username=options.username,
            password=options.secret(),
            protocol=ProtocolVersion.V5,
            timeout=CONNECT_SECONDS,
            tls_context=self._tls,
        )

    async def _publish(self, client: PublishingClient, message: Message) -> None:
        topic, properties = self._topic(message), _properties(message)
        size = HEADER_BYTES + len(topic.encode()) + _size(properties) + len(message.body)
        if size > client.largest_packet:
            raise Reject(f"the broker takes no more than {client.largest_packet} bytes, and these are {size}")
        await client.publish(
            topic, message.body, qos=1, retain=self._options.retain, properties=properties, timeout=ANSWER_SECONDS
        )

    def _topic(self, message: Message) -> str:
        topic = self._options.topic
        return f"{topic}/{topic_of(message.record).replace('.', '/')}" if self._options.by_state else topic


class SecureMqttSink(MqttSink):
    """`mqtts://` — the same over TLS."""

    class Options(MqttSink.Options):
        """Those of `mqtt`."""

        port: int = Field(8883, gt=0, lt=2**16)
        tls: bool = True


def _properties(message: Message) -> Properties:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.ContentType = message.content_type
    properties.UserProperty = [*({"id": message.id} | dict(message.attributes)).items()]
    return properties


def _size(properties: Properties) -> int:
    return len(properties.pack())  # type: ignore[no-untyped-call]


def _heed(client: PublishingClient) -> None:
    """Raise what the broker gave as its reason, if it did not take one of the messages."""
    if client.refusal:
        reason = client.refusal.getName()
        raise (Reject if reason in NEVER_TAKEN else Retry)(f"the MQTT broker does not take a message: {reason}")
