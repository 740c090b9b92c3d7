"""The redis sink's options, and what it says without a server."""

from typing import Any

import pytest

from streamer import sinks
from streamer.errors import ConfigError
from streamer.sinks.redis import ids_key


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        ("redis://host:6379/0?stream=runs", {"host": "host", "port": 6379, "db": "0", "stream": "runs"}),
        ("redis://host?stream=runs&maxlen=9", {"host": "host", "stream": "runs", "maxlen": "9"}),
        ("redis://:s%2Fme@host?stream=a:b", {"host": "host", "password": "s/me", "stream": "a:b"}),
    ],
)
def test_a_spec_gives_server_database_and_stream(spec: str, options: dict[str, Any]) -> None:
    assert sinks.parse(spec) == ("redis", options)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("redis://host/0", "stream: Field required"),
        ("redis://host/runs?stream=runs", "db: "),
        ("redis://host/0?stream=runs&maxlen=0", "maxlen: "),
        ("redis://host:0/0?stream=runs", "port: "),
    ],
)
def test_a_wrong_option_is_refused(spec: str, said: str) -> None:
    with pytest.raises(ConfigError, match=f"sink redis: {said}"):
        sinks.build(*sinks.parse(spec))


@pytest.mark.parametrize(
    ("stream", "key"), [("runs", "{runs}:ids"), ("{team}:runs", "{team}:runs:ids"), ("a:b", "{a:b}:ids")]
)
def test_the_ids_have_a_key_with_the_same_hash_tag(stream: str, key: str) -> None:
    assert ids_key(stream) == key


def test_rediss_is_redis_over_tls_also_in_a_file() -> None:
    plain, secure = (sinks.load(kind).Options.model_validate({"stream": "runs"}) for kind in ("redis", "rediss"))
    assert (plain.model_dump()["tls"], secure.model_dump()["tls"]) == (False, True)


async def test_it_closes_though_it_never_opened() -> None:
    await sinks.build(*sinks.parse("redis://host?stream=runs")).close()
