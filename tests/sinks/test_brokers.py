"""What the sinks to brokers share: the server in a spec, and what a record is about in few words."""

from typing import Any
from urllib.parse import urlsplit

import pytest

from schemas import decode
from streamer.errors import ConfigError
from streamer.model import Record
from streamer.sinks.brokers import login_in, server_in, servers_in, topic_of
from tests import frames


@pytest.mark.parametrize(
    ("event", "topic"),
    [
        (frames.transition("PENDING", "RUNNING"), "flow_run.running"),
        (frames.transition("RUNNING", "COMPLETED", name="a.b # >"), "flow_run.completed"),
        (frames.verdict("zombie"), "verdict.zombie"),
        (frames.pull_step(), "pull_step"),
        (frames.heartbeat(), "heartbeat"),
    ],
)
def test_a_record_is_about_the_type_of_state_or_the_verdict_or_its_kind(event: frames.Json, topic: str) -> None:
    assert topic_of(Record(1, "default", decode(frames.bare(event)))) == topic


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ("redis://host:6380/0", {"host": "host", "port": 6380}),
        ("redis://host", {"host": "host"}),
        ("redis:///0", {}),
        ("amqp://[::1]:5673/x", {"host": "::1", "port": 5673}),
        ("mqtt://me:p%40ss%2Fword@host/x", {"host": "host", "username": "me", "password": "p@ss/word"}),
        ("redis://:secret@host", {"host": "host", "password": "secret"}),
        ("redis://me@host", {"host": "host", "username": "me"}),
    ],
)
def test_a_spec_names_the_server_and_the_login(spec: str, found: dict[str, Any]) -> None:
    assert server_in(urlsplit(spec)) == found


def test_a_port_that_is_no_number_is_refused() -> None:
    with pytest.raises(ConfigError, match="the port of a redis sink is no number"):
        server_in(urlsplit("redis://host:here/0"))


def test_there_may_be_several_servers_of_which_none_has_the_login() -> None:
    url = urlsplit("kafka://me:secret@one:9092,two:9093/runs")
    assert servers_in(url) == "one:9092,two:9093"
    assert login_in(url) == {"username": "me", "password": "secret"}
    assert servers_in(urlsplit("kafka:///runs")) is None
