"""The nats sink's options, and what it says without a server."""

import sys
from pathlib import Path
from typing import Any

import pytest

from streamer import sinks
from streamer.errors import ConfigError


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        ("nats://host:4222/runs", {"servers": "host:4222", "subject": "runs"}),
        ("nats:///prefect.runs", {"subject": "prefect.runs"}),
        ("nats://one:4222,two:4223/runs", {"servers": "one:4222,two:4223", "subject": "runs"}),
        ("nats://me:s%2Fme@host/runs", {"servers": "host", "subject": "runs", "username": "me", "password": "s/me"}),
        ("nats://t0ken@host/runs", {"servers": "host", "subject": "runs", "password": "t0ken"}),
        ("nats://host/runs?stream=RUNS", {"servers": "host", "subject": "runs", "stream": "RUNS"}),
    ],
)
def test_a_spec_gives_servers_subject_and_login(spec: str, options: dict[str, Any]) -> None:
    assert sinks.parse(spec) == ("nats", options)


def test_a_subject_is_needed() -> None:
    with pytest.raises(ConfigError, match="sink nats: subject: Field required"):
        sinks.build(*sinks.parse("nats://host"))


@pytest.mark.parametrize("subject", ["a%20b", "runs.*", "runs.%3E", ".runs", "runs.", "a..b"])
def test_a_subject_that_cannot_be_published_to_is_refused(subject: str) -> None:
    with pytest.raises(ConfigError, match="sink nats: subject: "):
        sinks.build(*sinks.parse(f"nats://host/{subject}"))


def test_an_authority_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot use the certificates"):
        sinks.build(*sinks.parse(f"nats://host/runs?ca_file={tmp_path}/none.pem"))


def test_a_credentials_file_needs_a_library_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nkeys", None)
    with pytest.raises(ConfigError, match="creds_file needs nkeys") as caught:
        sinks.build(*sinks.parse("nats://host/runs?creds_file=user.creds"))
    assert caught.value.hint == "pip install 'nats-py[nkeys]'"


async def test_it_closes_though_it_never_opened() -> None:
    await sinks.build(*sinks.parse("nats://host/runs")).close()
