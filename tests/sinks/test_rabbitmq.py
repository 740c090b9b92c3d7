"""The rabbitmq sink's options, and what it says without a server."""

from typing import Any

import pytest

from streamer import sinks
from streamer.errors import ConfigError


@pytest.mark.parametrize(
    ("spec", "kind", "options"),
    [
        ("amqp://host:5672/runs", "amqp", {"host": "host", "port": 5672, "exchange": "runs"}),
        ("amqps://host/runs", "amqps", {"host": "host", "exchange": "runs"}),
        ("rabbitmq://host/a%2Fb?vhost=%2Fteam", "rabbitmq", {"host": "host", "exchange": "a/b", "vhost": "/team"}),
        (
            "amqp://me:s%2Fme@host/runs",
            "amqp",
            {"host": "host", "exchange": "runs", "username": "me", "password": "s/me"},
        ),
    ],
)
def test_a_spec_gives_server_and_exchange(spec: str, kind: str, options: dict[str, Any]) -> None:
    assert sinks.parse(spec) == (kind, options)


@pytest.mark.parametrize("spec", ["amqp://host", "amqp://host/"])
def test_an_exchange_is_needed(spec: str) -> None:
    with pytest.raises(ConfigError, match="sink amqp: exchange: Field required"):
        sinks.build(*sinks.parse(spec))


def test_amqps_is_amqp_over_tls_also_in_a_file() -> None:
    kinds = [sinks.load(kind).Options.model_validate({"exchange": "runs"}).model_dump() for kind in ("amqp", "amqps")]
    assert [(options["port"], options["tls"]) for options in kinds] == [(5672, False), (5671, True)]


async def test_it_closes_though_it_never_opened() -> None:
    await sinks.build(*sinks.parse("amqp://host/runs")).close()
