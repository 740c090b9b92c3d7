"""One of each destination that there is, as a test's own: what to write into `streamer.toml`, and what has arrived."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import aio_pika
import duckdb
import nats
import orjson

from tests.services import brokers, test_postgres, test_redis_sink
from tests.services.brokers import Broker
from tests.services.mock_kafka import MockKafka
from tests.services.postgres_server import PASSWORD, USER, PostgresServer
from tests.services.test_mqtt_sink import subscribed
from tests.sinks.receiver import Receiver, Reply, Request

QUEUE = "runs"

Action = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Destination:
    """`options` are its sink's table, `ids` what has arrived, in order; `once` tells whether there is a key.

    What has a server has `kill` and `start`, and may `pause` and `resume`.
    """

    name: str
    options: Mapping[str, Any]
    ids: Callable[[], Awaitable[list[str]]]
    once: bool = False
    does: Mapping[str, Action] = field(default_factory=dict)


class Hook:
    """A receiver of batches that notes what it took, which `answer` decides."""

    def __init__(self, receiver: Receiver) -> None:
        self.taken: list[str] = []
        self.answer: Callable[[Sequence[str]], Reply] = lambda _: Reply()
        self.url = receiver.url
        receiver.reply = self._reply

    async def ids(self) -> list[str]:
        """Return what was taken, in order, as often as it was."""
        return list(self.taken)

    def _reply(self, request: Request) -> Reply:
        ids = [each["id"] for each in orjson.loads(request.body)]
        reply = self.answer(ids)
        if reply.status == 200:
            self.taken += ids
        return reply


def as_toml(destinations: Iterable[Destination]) -> str:
    """Return the tables of their sinks."""
    lines: list[str] = []
    for each in destinations:
        lines += [f"[sinks.{each.name}]", *(f"{name} = {_value(value)}" for name, value in each.options.items())]
    return "\n".join(lines)


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{orjson.dumps(name).decode()} = {_value(each)}" for name, each in value.items()) + "}"
    return orjson.dumps(value).decode()


@asynccontextmanager
async def hooked() -> AsyncIterator[tuple[Hook, Receiver]]:
    """Run a receiver."""
    async with Receiver() as receiver:
        yield Hook(receiver), receiver


def to_hook(name: str, hook: Hook, **does: Action) -> Destination:
    """Return a webhook, which is sent batches."""
    options = {"type": "webhook", "url": hook.url, "batch": True, "batch_size": 100, "proxy": "none"}
    return Destination(name, options, hook.ids, does=does)


@asynccontextmanager
async def webhook(folder: Path) -> AsyncIterator[Destination]:
    """Run a receiver that takes everything."""
    async with hooked() as (hook, receiver):
        yield to_hook("webhook", hook, kill=partial(receiver.__aexit__, None, None, None), start=receiver.__aenter__)


@asynccontextmanager
async def nats_stream(folder: Path) -> AsyncIterator[Destination]:
    """Run NATS."""
    with brokers.nats(folder) as broker:

        async def ids() -> list[str]:
            client = await nats.connect(broker.address)
            jetstream = client.jetstream()
            number = (await jetstream.stream_info("RUNS")).state.messages
            subscription = await jetstream.subscribe("runs", ordered_consumer=True)
            found = [await subscription.next_msg(timeout=10) for _ in range(number)]
            await client.close()
            return [(message.headers or {})["Nats-Msg-Id"] for message in found]

        options = {"type": "nats", "servers": broker.address, "subject": "runs", "stream": "RUNS"}
        yield Destination("nats", options, ids, once=True, does=_doings(broker))


@asynccontextmanager
async def redis_stream(folder: Path) -> AsyncIterator[Destination]:
    """Run Redis."""
    with brokers.redis(folder) as broker:
        options = {"type": "redis", "port": broker.port, "stream": "runs"}
        ids = partial(test_redis_sink.ids_in, broker)
        yield Destination("redis", options, ids, once=True, does=_doings(broker))


@asynccontextmanager
async def rabbitmq_queue(folder: Path) -> AsyncIterator[Destination]:
    """Run RabbitMQ, with a queue that takes everything."""
    with brokers.rabbitmq(folder) as broker:
        async with await aio_pika.connect(f"amqp://{broker.address}") as connection:
            channel = await connection.channel()
            exchange = await channel.declare_exchange(QUEUE, aio_pika.ExchangeType.TOPIC, durable=True)
            await (await channel.declare_queue(QUEUE, durable=True)).bind(exchange, "#")

        async def ids() -> list[str]:
            async with await aio_pika.connect(f"amqp://{broker.address}") as connection:
                queue = await (await connection.channel()).get_queue(QUEUE)
                messages = queue.iterator(timeout=10)
                await messages.consume()
                found = [await anext(messages) for _ in range(queue.declaration_result.message_count or 0)]
                return [str(message.message_id) for message in found]

        options = {"type": "rabbitmq", "port": broker.port, "exchange": QUEUE}
        yield Destination("rabbitmq", options, ids, does=_doings(broker))


@asynccontextmanager
async def mqtt_topic(folder: Path) -> AsyncIterator[Destination]:
    """Run Mosquitto, with a subscriber who comes back.

    It acknowledges before it saves, so that only an orderly end loses nothing; to save at each change takes it 7 ms.
    """
    with brokers.mosquitto(folder, "allow_anonymous true", "autosave_on_changes false") as broker:
        async with subscribed(broker) as subscriber:
            options = {"type": "mqtt", "port": broker.port, "topic": "runs"}
            does = {**_doings(broker), "kill": _threaded(broker.stop)}
            yield Destination("mqtt", options, subscriber.ids, does=does)


@asynccontextmanager
async def postgres_table(folder: Path) -> AsyncIterator[Destination]:
    """Run PostgreSQL, in a folder that its user can reach, as pytest's own are not when we are root."""
    with tempfile.TemporaryDirectory(prefix="postgres-") as reachable, PostgresServer(Path(reachable)) as server:
        options = {"type": "postgres", "host": "127.0.0.1", "port": server.port, "database": "postgres"}
        login = {"username": USER, "password": PASSWORD}
        ids = partial(test_postgres.ids, server, "flow_run_events")
        yield Destination("postgres", options | login, ids, once=True, does=_doings(server))


@asynccontextmanager
async def parquet(folder: Path) -> AsyncIterator[Destination]:
    """Have a folder for files."""

    async def ids() -> list[str]:
        with duckdb.connect(":memory:") as database:
            found = database.execute(f"SELECT id FROM read_parquet('{folder}/**/*.parquet') ORDER BY seq").fetchall()
        return [str(row[0]) for row in found]

    yield Destination("parquet", {"type": "parquet", "path": str(folder)}, ids, once=True)


@asynccontextmanager
async def kafka(folder: Path) -> AsyncIterator[Destination]:
    """Mock Kafka. It keeps no more than 5 MB: hence the compression."""
    with MockKafka() as cluster:
        properties = {"compression.type": "zstd"}
        options = {"type": "kafka", "brokers": cluster.address, "topic": cluster.topic, "librdkafka": properties}
        does = {"kill": _threaded(cluster.stop), "start": _threaded(cluster.start)}
        yield Destination("kafka", options, partial(asyncio.to_thread, cluster.ids), does=does)


def _doings(server: Broker | PostgresServer) -> Mapping[str, Action]:
    names = ("kill", "start", "pause", "resume")
    return {name: _threaded(getattr(server, name)) for name in names if hasattr(server, name)}


def _threaded(act: Callable[[], object]) -> Action:
    return partial(asyncio.to_thread, act)


@asynccontextmanager
async def one_of_each(folder: Path) -> AsyncIterator[dict[str, Destination]]:
    """Have one of each kind, by name."""
    kinds = (webhook, nats_stream, redis_stream, rabbitmq_queue, mqtt_topic, postgres_table, parquet, kafka)
    async with AsyncExitStack() as stack:
        found: list[Destination] = []
        for kind in kinds:
            (place := folder / kind.__name__).mkdir()
            found.append(await stack.enter_async_context(kind(place)))
        yield {each.name: each for each in found}
