"""The kafka sink's options, and what it says without a broker."""

from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from streamer import sinks
from streamer.errors import ConfigError
from streamer.sinks.kafka_options import KafkaOptions


def configured(**options: Any) -> dict[str, Any]:
    return KafkaOptions.model_validate({"topic": "runs", **options}).configuration()


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        ("kafka://host:9092/runs", {"brokers": "host:9092", "topic": "runs"}),
        ("kafka://one:9092,two:9093/runs", {"brokers": "one:9092,two:9093", "topic": "runs"}),
        ("kafka:///runs", {"topic": "runs"}),
        ("kafka://me:s%2Fme@host/runs", {"brokers": "host", "topic": "runs", "username": "me", "password": "s/me"}),
    ],
)
def test_a_spec_gives_brokers_topic_and_login(spec: str, options: dict[str, Any]) -> None:
    assert sinks.parse(spec) == ("kafka", options)


@pytest.mark.parametrize(
    ("spec", "said"),
    [("kafka://host", "topic: Field required"), ("kafka://host/runs?mechanism=MD5", "mechanism: ")],
)
def test_a_wrong_option_is_refused(spec: str, said: str) -> None:
    with pytest.raises(ConfigError, match=f"sink kafka: {said}"):
        sinks.build(*sinks.parse(spec))


@pytest.mark.parametrize(
    ("options", "protocol"),
    [
        ({}, "PLAINTEXT"),
        ({"tls": True}, "SSL"),
        ({"username": "me", "password": "s3same"}, "SASL_PLAINTEXT"),
        ({"username": "me", "password": "s3same", "tls": True}, "SASL_SSL"),
    ],
)
def test_user_and_tls_decide_how_it_speaks(options: dict[str, Any], protocol: str) -> None:
    assert configured(**options)["security.protocol"] == protocol


def test_a_password_is_read_from_its_file_at_each_connect(tmp_path: Path) -> None:
    file = tmp_path / "password"
    options = KafkaOptions.model_validate({"topic": "runs", "username": "me", "password_file": file})
    for password in ("old", "new"):
        file.write_text(f"{password}\n")
        assert options.configuration()["sasl.password"] == password


def test_properties_of_the_library_may_be_given_but_for_those_that_keep_the_promise() -> None:
    found = configured(librdkafka={"compression.type": "zstd", "linger.ms": 20, "acks": 1, "enable.idempotence": False})
    assert (found["compression.type"], found["linger.ms"]) == ("zstd", 20)
    assert (found["acks"], found["enable.idempotence"]) == ("all", True)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_the_library_knows_what_it_is_told(mechanism: str) -> None:
    options = {"brokers": "127.0.0.1:1", "username": "me", "password": "s3same", "tls": True, "mechanism": mechanism}
    producer = Producer(configured(**options))
    assert producer.close()


async def test_it_closes_though_it_never_opened() -> None:
    await sinks.build(*sinks.parse("kafka://host/runs")).close()
