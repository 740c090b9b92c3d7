"""What a spec of the postgres sink says, as libpq reads it; the server itself is in tests/services."""

from typing import Any

import pytest

from streamer import sinks
from streamer.errors import ConfigError
from streamer.sinks.postgres import PostgresSink


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        (
            "postgresql://me:p%40ss@host:6432/runs?table=a.b&sslmode=require",
            {"username": "me", "password": "p@ss", "host": "host", "port": "6432", "database": "runs"}
            | {"table": "a.b", "sslmode": "require"},
        ),
        ("postgres://one:1,two:2/runs", {"host": "one,two", "port": "1,2", "database": "runs"}),
        ("postgresql://[::1]/runs", {"host": "::1", "database": "runs"}),
        ("postgresql:///runs?host=/run/postgresql", {"database": "runs", "host": "/run/postgresql"}),
    ],
)
def test_a_spec_gives_the_server_and_in_its_query_the_options(spec: str, options: dict[str, Any]) -> None:
    assert sinks.parse(spec)[1] == options


def test_options_become_a_connection_as_libpq_knows_it() -> None:
    options = PostgresSink.Options.model_validate(
        {"host": "h", "port": 5433, "username": "me", "password": "p", "ca_file": "/ca", "application_name": "a"}
    )
    assert {name: str(value) for name, value in options.conninfo().items()} == {
        "host": "h",
        "port": "5433",
        "user": "me",
        "password": "p",
        "sslmode": "verify-full",
        "sslrootcert": "/ca",
        "application_name": "a",
        "connect_timeout": "10",
    }


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("postgresql://me:hunt%zz@host/runs", "this is no address of a PostgreSQL database"),
        ("postgresql://host/runs?tabel=a", "sink postgresql: tabel: neither this sink nor libpq has such an option"),
        ("postgresql://host/runs?table=a.b.c", "sink postgresql: table: "),
        ("postgresql://host/runs?table=a;drop", "sink postgresql: table: "),
        ("postgresql://host/runs?table=Runs", "sink postgresql: table: "),
        ("postgresql://me:hunter2@host/runs?password_file=a", "password and password_file are given"),
        ("postgresql://host/runs?format=template&template=a", "this sink takes JSON only"),
        ("postgresql://host/runs?timeout=0", "sink postgresql: timeout: "),
    ],
)
def test_what_does_not_fit_is_refused_without_repeating_a_password(spec: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        sinks.build(*sinks.parse(spec))
    assert "hunt" not in f"{caught.value} {caught.value.hint}"
