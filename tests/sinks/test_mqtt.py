"""The mqtt sink's options, and what it says without a server."""

from typing import Any

import pytest

from streamer import sinks
from streamer.errors import ConfigError


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        ("mqtt://host:1883/runs", {"host": "host", "port": 1883, "topic": "runs"}),
        ("mqtt://host/prefect/runs", {"host": "host", "topic": "prefect/runs"}),
        ("mqtt://host//runs", {"host": "host", "topic": "/runs"}),
        ("mqtt://me:s%2Fme@host/runs", {"host": "host", "topic": "runs", "username": "me", "password": "s/me"}),
    ],
)
def test_a_spec_gives_server_and_topic(spec: str, options: dict[str, Any]) -> None:
    assert sinks.parse(spec) == ("mqtt", options)


@pytest.mark.parametrize("topic", ["", "runs/%23", "runs/+", "a%00b"])
def test_a_topic_that_cannot_be_published_to_is_refused(topic: str) -> None:
    with pytest.raises(ConfigError, match="sink mqtt: topic: "):
        sinks.build(*sinks.parse(f"mqtt://host/{topic}"))


def test_mqtts_is_mqtt_over_tls_also_in_a_file() -> None:
    kinds = [sinks.load(kind).Options.model_validate({"topic": "runs"}).model_dump() for kind in ("mqtt", "mqtts")]
    assert [(options["port"], options["tls"]) for options in kinds] == [(1883, False), (8883, True)]


async def test_it_closes_though_it_never_opened() -> None:
    await sinks.build(*sinks.parse("mqtt://host/runs")).close()
