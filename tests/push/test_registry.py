"""A kind of push is found by its name, its options are checked, and what is missing is said."""

import sys
from typing import Any

import pytest

from streamer import push
from streamer.errors import ConfigError

OPTIONS: dict[str, dict[str, Any]] = {"gcp": {"project": "p"}, "statsd": {}, "otlp": {"insecure": True}}


@pytest.mark.parametrize("kind", push.KINDS)
def test_every_kind_can_be_built_and_closed(kind: str) -> None:
    push.build("up", kind, OPTIONS[kind]).close()


def test_a_kind_that_is_none_is_told_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match="no type of push 'graphite'") as error:
        push.build("up", "graphite", {})
    assert error.value.hint == "there are: gcp, otlp, statsd"


@pytest.mark.parametrize(
    ("kind", "options", "field"),
    [("gcp", {}, "project"), ("statsd", {"port": 70_000}, "port"), ("otlp", {"endpont": "x"}, "endpont")],
)
def test_a_wrong_option_is_told_with_those_there_are(kind: str, options: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError, match=rf"push\.up: {field}: ") as error:
        push.build("up", kind, options)
    assert str(error.value.hint).startswith(f"options of {kind} are: ")


@pytest.mark.parametrize(
    ("kind", "library"), [("gcp", "google.cloud.monitoring_v3"), ("statsd", "datadog"), ("otlp", "opentelemetry")]
)
def test_a_library_that_is_not_installed_is_told_with_the_extra(
    kind: str, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [each for each in sys.modules if each == library or each.startswith(f"{library}.")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, push.KINDS[kind][0], raising=False)
    with pytest.raises(ConfigError, match="not installed") as error:
        push.load(kind)
    assert error.value.hint == f"pip install 'prefect-streamer[{kind}]'"


def test_a_secret_header_is_not_shown() -> None:
    exporter = push.build("up", "otlp", {"headers": {"Authorization": "Bearer s3cret"}, "insecure": True})
    assert "s3cret" not in repr(vars(exporter))
