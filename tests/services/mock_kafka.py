"""A Kafka cluster as librdkafka mocks it: the real protocol in this process, with faults at will.

Its interface is C's: https://github.com/confluentinc/librdkafka/blob/master/src/rdkafka_mock.h
"""

import ctypes
from pathlib import Path
from typing import Self

import confluent_kafka
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, TopicPartition

_PRODUCER = 0
_PRODUCE_REQUEST = 0


class MockKafka:
    """`with MockKafka() as kafka:` — one broker at `kafka.address`, with a topic `runs` of one partition."""

    topic = "runs"

    def __enter__(self) -> Self:
        self._library = _library()
        self._handle = ctypes.c_void_p(
            self._library.rd_kafka_new(_PRODUCER, self._library.rd_kafka_conf_new(), None, 0)
        )
        self._cluster = ctypes.c_void_p(self._library.rd_kafka_mock_cluster_new(self._handle, 1))
        bootstrap: bytes = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster)
        self.address = bootstrap.decode()
        self._library.rd_kafka_mock_topic_create(self._cluster, self.topic.encode(), 1, 1)
        return self

    def __exit__(self, *raised: object) -> None:
        self._library.rd_kafka_mock_cluster_destroy(self._cluster)
        self._library.rd_kafka_destroy(self._handle)

    def answer(self, *errors: int) -> None:
        """Answer the next requests to produce with these errors, one each."""
        codes = (ctypes.c_int * len(errors))(*errors)
        self._library.rd_kafka_mock_push_request_errors_array(
            self._cluster, ctypes.c_int16(_PRODUCE_REQUEST), ctypes.c_size_t(len(errors)), codes
        )

    def refuse_topic(self, error: int) -> None:
        """Answer whoever asks for the topic with this error."""
        self._library.rd_kafka_mock_topic_set_error(self._cluster, self.topic.encode(), error)

    def stop(self) -> None:
        """Take the broker down: connections end, and no new ones are taken."""
        self._library.rd_kafka_mock_broker_set_down(self._cluster, ctypes.c_int32(1))

    def start(self) -> None:
        """Take the broker up again, with all it had."""
        self._library.rd_kafka_mock_broker_set_up(self._cluster, ctypes.c_int32(1))

    def slow_down(self, milliseconds: int) -> None:
        """Let each answer take so long."""
        self._library.rd_kafka_mock_broker_set_rtt(self._cluster, ctypes.c_int32(1), ctypes.c_int(milliseconds))

    def messages(self) -> list[Message]:
        """Return what is in the topic, in its order."""
        settings = {"bootstrap.servers": self.address, "group.id": "test", "enable.partition.eof": True}
        consumer = Consumer(settings)
        consumer.assign([TopicPartition(self.topic, 0, OFFSET_BEGINNING)])
        found: list[Message] = []
        while not _is_end(message := consumer.poll(10)):
            assert message
            found.append(message)
        consumer.close()
        return found

    def ids(self) -> list[str]:
        """Return the ids that the messages have in their headers."""
        return [header(message, "id") for message in self.messages()]


def header(message: Message, name: str) -> str:
    """Return a header of a message."""
    value = dict(message.headers() or [])[name]
    assert isinstance(value, bytes)
    return value.decode()


def _is_end(message: Message | None) -> bool:
    assert message, "the topic could not be read"
    error = message.error()
    assert error is None or error.code() == KafkaError._PARTITION_EOF, error
    return error is not None


def _library() -> ctypes.CDLL:
    folder = Path(confluent_kafka.__file__).parents[1]
    (path,) = [*folder.glob("confluent_kafka.libs/librdkafka*"), *folder.glob("confluent_kafka/.dylibs/librdkafka*")]
    library = ctypes.CDLL(str(path))
    for function in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_mock_cluster_new"):
        getattr(library, function).restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    library.rd_kafka_new.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
    return library
