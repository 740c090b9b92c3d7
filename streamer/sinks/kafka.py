"""`kafka://host:9092,other:9092/TOPIC` — each record as a message of Kafka, keyed by its run.

librdkafka is driven by a thread of the sink's own. A producer that failed is thrown away with what it still holds, so
that nothing of it comes after what is sent again.
"""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import SplitResult, unquote

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as Report

from streamer.errors import Reject, Retry, SinkError
from streamer.model import Record
from streamer.sinks.brokers import login_in, servers_in
from streamer.sinks.formats import Message, messages
from streamer.sinks.kafka_options import KafkaOptions
from streamer.sinks.link import ANSWER_SECONDS
from streamer.sinks.worker import Worker

CONNECT_SECONDS = 10.0
POLL_SECONDS = 0.1
NEVER_TAKEN = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG_SIZE, KafkaError.INVALID_RECORD})
UNEXPLAINED = frozenset({KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN})

_SILENT = logging.getLogger("streamer.sinks.kafka")
_SILENT.disabled = True  # what goes wrong is raised


class KafkaSink:
    """Produce with idempotence. A message's headers are the event's `id`, its content type and what the format adds."""

    Options = KafkaOptions

    def __init__(self, options: KafkaOptions) -> None:
        options.context()
        self._options = options
        self._encoder = options.encoder()
        self._producer: Producer | None = None
        self._trouble: KafkaError | None = None
        self._closing = threading.Event()
        self._worker = Worker("kafka")

    @staticmethod
    def options_from(url: SplitResult) -> Mapping[str, Any]:
        """Return brokers and topic of `kafka://host:9092,other:9092/TOPIC`."""
        given = {"brokers": servers_in(url), "topic": unquote(url.path.strip("/"))}
        return {name: value for name, value in given.items() if value} | login_in(url)

    async def open(self) -> None:
        """Connect, and see that the topic is there."""
        await self._worker.do(self._connect)

    async def write(self, records: Sequence[Record], /) -> None:
        """Produce in order, and return when all replicas that are in sync have each message."""
        batch = messages(self._encoder, records)
        await self._worker.do(lambda: self._deliver(batch))

    async def close(self) -> None:
        """Disconnect; what is not acknowledged yet is given up."""
        self._closing.set()
        await self._worker.do(self._drop)
        self._worker.stop()

    def _connect(self) -> None:
        self._drop()
        topic = self._options.topic
        try:
            self._producer = Producer({**self._options.configuration(), "error_cb": self._note, "logger": _SILENT})
            error = self._producer.list_topics(topic, CONNECT_SECONDS).topics[topic].error
        except KafkaException as raised:
            error = raised.args[0]
        if error:
            raise self._failure(error)

    def _note(self, error: KafkaError) -> None:
        """Remember what went wrong; that all brokers are down only follows from it."""
        if self._trouble is None or error.code() != KafkaError._ALL_BROKERS_DOWN:
            self._trouble = error

    def _deliver(self, batch: Sequence[Message]) -> None:
        if self._producer is None:
            self._connect()
        producer = self._producer
        assert producer
        failed: list[KafkaError] = []

        def report(error: KafkaError | None, _: Report) -> None:
            failed.extend([error] if error else [])

        deadline = time.monotonic() + ANSWER_SECONDS
        try:
            for message in batch:
                producer.produce(
                    self._options.topic, message.body, _key(message), headers=_headers(message), on_delivery=report
                )
            while len(producer) and not failed and not self._closing.is_set() and time.monotonic() < deadline:
                producer.poll(POLL_SECONDS)
        except KafkaException as raised:
            _serve(producer)
            failed.append(raised.args[0])
        if failed or len(producer):
            raise self._failure(failed[0] if failed else None)

    def _failure(self, error: KafkaError | None) -> SinkError:
        """Return what to raise, and let the next write begin with a new producer."""
        if self._producer:
            _serve(self._producer)
        self._drop()
        cause = self._trouble or error if error is None or error.code() in UNEXPLAINED else error
        self._trouble = None
        if cause and cause.code() in NEVER_TAKEN:
            return Reject(f"Kafka does not take such a message: {cause.str()}")
        return Retry(f"Kafka at {self._options.brokers}: {cause.str() if cause else 'no acknowledgement in time'}")

    def _drop(self) -> None:
        producer, self._producer = self._producer, None
        if producer:
            producer.purge()
            producer.close()


def _serve(producer: Producer) -> None:
    """Have the library tell what it has not told yet: which messages failed and why, and what troubles it."""
    with suppress(KafkaException):
        producer.poll(0)


def _key(message: Message) -> bytes | None:
    run = message.record.event.run_id
    return str(run).encode() if run else None


def _headers(message: Message) -> list[tuple[str, str | bytes | None]]:
    attributes = [(f"ce_{name}", value) for name, value in message.attributes.items()]
    return [("id", message.id), ("content-type", message.content_type), *attributes]
