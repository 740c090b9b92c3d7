"""The mqtt sink against the real Mosquitto: acknowledged, in order, each record at least once."""

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiomqtt
import orjson
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from trustme import CA

from streamer.errors import Reject, Retry
from streamer.testing import check_sink, until
from tests.services.brokers import Broker, mosquitto
from tests.services.deliveries import (
    BATCH,
    deliver_through_a_kill,
    deliver_through_a_stall,
    first_occurrences,
    ids,
    made,
    opened,
    records,
    refusal_of,
)

pytestmark = pytest.mark.services


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Broker]:
    with mosquitto(tmp_path) as broker:
        yield broker


class Subscriber:
    """Somebody who subscribed once, and whose session the broker keeps while he is away."""

    def __init__(self, server: Broker) -> None:
        self.server = server
        self.messages: list[aiomqtt.Message] = []
        self.subscribed = False

    async def run(self) -> None:
        """Listen, and come back as often as the broker goes away."""
        while True:
            try:
                await self._listen()
            except aiomqtt.MqttError:
                await asyncio.sleep(0.01)  # the pace of asking, not a wait for an effect

    async def ids(self) -> list[str]:
        """Return the ids of what has come, which is all that the broker acknowledged before this was asked."""
        last = f"last/{uuid4()}"
        async with aiomqtt.Client("127.0.0.1", self.server.port, protocol=aiomqtt.ProtocolVersion.V5) as client:
            await client.publish(last, b"", qos=1)
        await until(lambda: any(str(message.topic) == last for message in self.messages))
        return [orjson.loads(payload_of(message))["id"] for message in self.messages if payload_of(message)]

    async def _listen(self) -> None:
        kept = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        kept.SessionExpiryInterval = 3600
        async with aiomqtt.Client(
            "127.0.0.1",
            self.server.port,
            identifier="subscriber",
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=False,
            properties=kept,
        ) as client:
            await client.subscribe("#", qos=1)
            self.subscribed = True
            async for message in client.messages:
                self.messages.append(message)


def payload_of(message: aiomqtt.Message) -> bytes:
    assert isinstance(message.payload, bytes)
    return message.payload


@asynccontextmanager
async def subscribed(server: Broker) -> AsyncIterator[Subscriber]:
    subscriber = Subscriber(server)
    running = asyncio.create_task(subscriber.run())
    try:
        await until(lambda: subscriber.subscribed)
        yield subscriber
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_it_keeps_the_contract(server: Broker) -> None:
    async with subscribed(server) as subscriber:

        async def read_back() -> Sequence[str]:
            return await subscriber.ids()

        await check_sink(lambda: made(f"mqtt://{server.address}/prefect/runs"), read_back)


async def test_a_message_says_what_it_is(server: Broker) -> None:
    (record,) = records(1)
    async with subscribed(server) as subscriber, opened(made(f"mqtt://{server.address}/prefect/runs")) as sink:
        await sink.write([record])
        await until(lambda: subscriber.messages)
    (message,) = subscriber.messages
    assert str(message.topic) == "prefect/runs"
    assert message.qos == 1
    properties: Any = message.properties
    assert properties.ContentType == "application/json"
    assert properties.UserProperty == [("id", str(record.event.id))]


async def test_a_binary_cloudevent_has_its_attributes_in_user_properties(server: Broker) -> None:
    (record,) = records(1)
    place = f"mqtt://{server.address}/runs?format=cloudevent-binary"
    async with subscribed(server) as subscriber, opened(made(place)) as sink:
        await sink.write([record])
        await until(lambda: subscriber.messages)
    properties: Any = subscriber.messages[0].properties
    attributes = dict(properties.UserProperty)
    assert (attributes["id"], attributes["type"]) == (str(record.event.id), "io.prefect.flow-run.running")


async def test_many_are_in_order(server: Broker) -> None:
    some = records(1000)
    async with subscribed(server) as subscriber, opened(made(f"mqtt://{server.address}/runs")) as sink:
        await sink.write(some)
        assert await subscriber.ids() == ids(some)


async def test_by_state_the_topic_tells_what_happened(server: Broker) -> None:
    async with subscribed(server) as subscriber, opened(made(f"mqtt://{server.address}/runs?by_state=true")) as sink:
        await sink.write(records(1))
        await until(lambda: subscriber.messages)
    assert str(subscriber.messages[0].topic) == "runs/flow_run/running"


async def test_a_retained_message_is_there_for_who_comes_later(server: Broker) -> None:
    some = records(3)
    async with opened(made(f"mqtt://{server.address}/runs?retain=true")) as sink:
        await sink.write(some)
    async with subscribed(server) as subscriber:
        assert await subscriber.ids() == ids(some[-1:])


async def test_a_server_killed_in_the_middle_passes_on_every_record(server: Broker) -> None:
    some = records(1000)
    async with subscribed(server) as subscriber, opened(made(f"mqtt://{server.address}/runs")) as sink:
        await deliver_through_a_kill(sink, some, server)
        assert first_occurrences(await subscriber.ids()) == ids(some)


async def test_a_write_given_up_on_a_stalled_server_is_made_good(server: Broker) -> None:
    some = records(5 * BATCH)
    async with subscribed(server) as subscriber, opened(made(f"mqtt://{server.address}/runs")) as sink:
        await deliver_through_a_stall(sink, some, server)
        assert first_occurrences(await subscriber.ids()) == ids(some)


async def test_a_refusal_in_the_acknowledgement_is_heeded(tmp_path: Path) -> None:
    (tmp_path / "acl").write_text("topic read #\ntopic write allowed\n")
    with mosquitto(tmp_path, "allow_anonymous true", f"acl_file {tmp_path}/acl") as server:
        async with opened(made(f"mqtt://{server.address}/forbidden")) as sink:
            with pytest.raises(Retry, match="does not take a message: Not authorized"):
                await sink.write(records(2))
        async with opened(made(f"mqtt://{server.address}/allowed")) as sink:
            await sink.write(records(2))


async def test_a_packet_larger_than_the_broker_takes_is_refused(tmp_path: Path) -> None:
    with mosquitto(tmp_path, "allow_anonymous true", "max_packet_size 300") as server:
        async with opened(made(f"mqtt://{server.address}/runs")) as sink:
            with pytest.raises(Reject, match="no more than 300 bytes"):
                await sink.write(records(1))


async def test_a_wrong_password_is_said_and_not_shown(tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    command = ["mosquitto_passwd", "-c", "-b", str(passwords), "me", "s3same"]
    await (await asyncio.create_subprocess_exec(*command)).wait()
    with mosquitto(tmp_path, "allow_anonymous false", f"password_file {passwords}") as server:
        said = await refusal_of(made(f"mqtt://me:hunter2@{server.address}/runs"))
        assert "MQTT at 127.0.0.1" in said
        assert "Not authorized" in said
        assert "hunter2" not in said
        async with opened(made(f"mqtt://me:s3same@{server.address}/runs")) as sink:
            await sink.write(records(1))


async def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    said = await refusal_of(made("mqtt://me:hunter2@127.0.0.1:1/runs"))
    assert "MQTT at 127.0.0.1:1: [Errno 111] Connection refused" in said
    assert "hunter2" not in said


@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")  # paho does not close a failed one
async def test_it_speaks_tls_with_whom_it_trusts(tmp_path: Path) -> None:
    authority = CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    files = (f"certfile {tmp_path}/cert.pem", f"keyfile {tmp_path}/key.pem")
    with mosquitto(tmp_path, "allow_anonymous true", *files) as server:
        place = f"mqtts://{server.address}/runs"
        assert "certificate verify failed" in await refusal_of(made(place))
        gc.collect()
        async with opened(made(f"{place}?ca_file={tmp_path}/ca.pem")) as sink:
            await sink.write(records(1))
