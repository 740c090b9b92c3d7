"""What the `kafka` sink may be told, and what that is in the words of librdkafka."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from pydantic import Field

from streamer.sinks.formats import Formatted
from streamer.sinks.options import Login, Tls

_DEFAULTS: Mapping[str, Any] = {
    "client.id": "streamer",
    "linger.ms": 0,
    "partitioner": "murmur2_random",  # where Kafka's own clients would put a key
}
# What makes an acknowledgement true, keeps the order, and leaves it to the delivery to give up.
_KEPT: Mapping[str, Any] = {
    "acks": "all",
    "enable.idempotence": True,
    "max.in.flight.requests.per.connection": 1,
    "message.timeout.ms": 0,
}


class Mechanism(StrEnum):
    """How user and password are given."""

    PLAIN = "PLAIN"
    SCRAM_SHA_256 = "SCRAM-SHA-256"
    SCRAM_SHA_512 = "SCRAM-SHA-512"


class KafkaOptions(Formatted, Login, Tls):
    """`brokers` as `host:port,host:port`; `topic`; `tls`; `mechanism`, by which a user logs in.

    `librdkafka` are properties of that library by their names, for all else.
    """

    brokers: str = "127.0.0.1:9092"
    topic: str = Field(min_length=1)
    tls: bool = False
    mechanism: Mechanism = Mechanism.PLAIN
    librdkafka: dict[str, str | int | float | bool] = Field(default_factory=dict)

    def configuration(self) -> dict[str, Any]:
        """Return the properties of a producer, with the password as it is now."""
        place = {"bootstrap.servers": self.brokers}
        return {**_DEFAULTS, **place, **self._security(), **self.librdkafka, **_KEPT}

    def _security(self) -> dict[str, Any]:
        login = {"sasl.mechanism": self.mechanism.value, "sasl.username": self.username, "sasl.password": self.secret()}
        files = {
            "ssl.ca.location": self.ca_file,
            "ssl.certificate.location": self.cert_file,
            "ssl.key.location": self.key_file,
        }
        return {
            "security.protocol": ("SASL_" if self.username else "") + ("SSL" if self.tls else "PLAINTEXT"),
            **(login if self.username else {}),
            **{name: str(file) for name, file in files.items() if file},
        }
