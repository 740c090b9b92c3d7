"""The rabbitmq sink against the real server: confirmed, in order, each record at least once."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import aio_pika
import orjson
import pytest
from aio_pika.abc import AbstractIncomingMessage
from trustme import CA

from streamer.demo.server import free_port
from streamer.errors import Reject, Retry
from streamer.testing import check_sink
from tests.services.brokers import Broker, rabbitmq
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

pytestmark = [pytest.mark.services, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with rabbitmq(tmp_path_factory.mktemp("rabbitmq")) as broker:
        yield broker


class Bound:
    """A durable queue bound to an exchange of the test's own."""

    def __init__(self, server: Broker, **arguments: Any) -> None:
        self.server = server
        self.exchange = f"runs-{uuid4()}"
        self.arguments = arguments
        self.place = f"amqp://{server.address}/{self.exchange}"

    @asynccontextmanager
    async def _channel(self) -> AsyncIterator[aio_pika.abc.AbstractChannel]:
        async with await aio_pika.connect(f"amqp://{self.server.address}") as connection:
            yield await connection.channel()

    async def bind(self) -> None:
        async with self._channel() as channel:
            exchange = await channel.declare_exchange(self.exchange, aio_pika.ExchangeType.TOPIC, durable=True)
            queue = await channel.declare_queue(self.exchange, durable=True, arguments=self.arguments)
            await queue.bind(exchange, "#")

    async def messages(self) -> list[AbstractIncomingMessage]:
        """Return what is in the queue, which stays there."""
        found: list[AbstractIncomingMessage] = []
        async with self._channel() as channel:
            queue = await channel.get_queue(self.exchange)
            while message := await queue.get(fail=False):
                found.append(message)
        return found

    async def ids(self) -> list[str]:
        return [str(message.message_id) for message in await self.messages()]


@pytest.fixture
async def bound(server: Broker) -> Bound:
    bound = Bound(server)
    await bound.bind()
    return bound


async def test_it_keeps_the_contract(bound: Bound) -> None:
    async def read_back() -> Sequence[str]:
        return await bound.ids()

    await check_sink(lambda: made(bound.place), read_back)


async def test_a_message_survives_a_restart_and_says_what_it_is(bound: Bound) -> None:
    (record,) = records(1)
    async with opened(made(bound.place)) as sink:
        await sink.write([record])
    (message,) = await bound.messages()
    assert orjson.loads(message.body)["id"] == message.message_id == str(record.event.id)
    assert message.routing_key == "flow_run.running"
    assert message.content_type == "application/json"
    assert message.delivery_mode == aio_pika.DeliveryMode.PERSISTENT


async def test_a_binary_cloudevent_has_its_attributes_in_headers(bound: Bound) -> None:
    (record,) = records(1)
    async with opened(made(f"{bound.place}?format=cloudevent-binary")) as sink:
        await sink.write([record])
    (message,) = await bound.messages()
    assert message.headers["cloudEvents:id"] == str(record.event.id)
    assert message.headers["cloudEvents:type"] == "io.prefect.flow-run.running"


async def test_many_are_in_order(bound: Bound) -> None:
    some = records(1000)
    async with opened(made(bound.place)) as sink:
        await sink.write(some)
    assert await bound.ids() == ids(some)


async def test_a_server_killed_in_the_middle_gets_every_record(bound: Bound) -> None:
    some = records(2000)
    async with opened(made(bound.place)) as sink:
        await deliver_through_a_kill(sink, some, bound.server)
    assert first_occurrences(await bound.ids()) == ids(some)


async def test_a_write_given_up_on_a_stalled_server_is_made_good(bound: Bound) -> None:
    some = records(5 * BATCH)
    async with opened(made(bound.place)) as sink:
        await deliver_through_a_stall(sink, some, bound.server)
    assert first_occurrences(await bound.ids()) == ids(some)


async def test_what_nobody_would_receive_is_kept_until_somebody_does(server: Broker) -> None:
    bound, some = Bound(server), records(3)
    async with opened(made(bound.place)) as sink:
        with pytest.raises(Retry, match=f"no queue is bound to the exchange '{bound.exchange}' for 'flow_run.running'"):
            await sink.write(some)
        await bound.bind()
        await sink.write(some)
    assert await bound.ids() == ids(some)


async def test_what_nobody_would_receive_may_be_dropped(server: Broker) -> None:
    async with opened(made(f"{Bound(server).place}?mandatory=false")) as sink:
        await sink.write(records(3))


async def test_a_full_queue_is_a_reason_to_try_again(server: Broker) -> None:
    bound = Bound(server, **{"x-max-length": 2, "x-overflow": "reject-publish"})
    await bound.bind()
    async with opened(made(bound.place)) as sink:
        with pytest.raises(Retry, match="a queue is full"):
            await sink.write(records(10))


async def test_an_exchange_that_is_not_to_be_made_is_missed(server: Broker) -> None:
    bound = Bound(server)
    assert "no exchange" in await refusal_of(made(f"{bound.place}?declare=false"))
    await bound.bind()
    async with opened(made(f"{bound.place}?declare=false")) as sink:
        await sink.write(records(1))


async def test_a_wrong_password_is_said_and_not_shown(server: Broker) -> None:
    said = await refusal_of(made(f"amqp://guest:hunter2@{server.address}/runs"))
    assert "RabbitMQ at 127.0.0.1" in said
    assert "ACCESS_REFUSED" in said
    assert "hunter2" not in said


async def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    said = await refusal_of(made("amqp://guest:hunter2@127.0.0.1:1/runs"))
    assert "RabbitMQ at 127.0.0.1:1" in said
    assert "Connect call failed" in said
    assert "hunter2" not in said


async def test_an_unknown_virtual_host_is_named(server: Broker) -> None:
    said = await refusal_of(made(f"amqp://{server.address}/runs?vhost=elsewhere"))
    assert "no virtual host 'elsewhere'" in said


async def test_over_tls_with_whom_it_trusts_and_a_limit_on_messages(tmp_path: Path) -> None:
    authority, port = CA(), free_port()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    settings = (
        f"listeners.ssl.local = 127.0.0.1:{port}",
        f"ssl_options.cacertfile = {tmp_path}/ca.pem",
        f"ssl_options.certfile = {tmp_path}/cert.pem",
        f"ssl_options.keyfile = {tmp_path}/key.pem",
        "max_message_size = 100",
    )
    with rabbitmq(tmp_path, *settings):
        place = f"amqps://127.0.0.1:{port}/runs?mandatory=false"
        assert "certificate verify failed" in await refusal_of(made(place))
        async with opened(made(f"{place}&ca_file={tmp_path}/ca.pem")) as sink:
            with pytest.raises(Reject, match="RabbitMQ refuses a message of"):
                await sink.write(records(1))
