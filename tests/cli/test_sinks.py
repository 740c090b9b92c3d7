"""`streamer sinks`: what would go where."""

from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from streamer.cli import app
from streamer.errors import ConfigError
from streamer.testing import an_event

CONFIG = """
[sinks.failures]
type = "stdout"
match = { states = ["FAILED"] }

[sinks.all]
type = "stdout"
"""


@pytest.fixture
def events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file of two events; the configuration is beside it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "streamer.toml").write_text(CONFIG)
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"\n".join(orjson.dumps(an_event(after=state)) for state in ("FAILED", "COMPLETED")) + b"\n\n")
    return file


def test_route_test_tells_of_each_event_where_it_would_go_and_why_not(events: Path) -> None:
    result = CliRunner().invoke(app, ["sinks", "route-test", str(events)], catch_exceptions=False)
    heads, failed, completed = (line.split() for line in result.stdout.splitlines())
    assert heads == ["line", "event", "flow", "failures", "all"]
    assert failed == ["1", "FAILED", "etl", "yes", "yes"]
    assert completed == ["2", "COMPLETED", "etl", "match.states:", "COMPLETED", "yes"]


def test_a_line_that_is_no_event_is_named(events: Path) -> None:
    events.write_bytes(events.read_bytes() + b"{}\n")
    with pytest.raises(ConfigError, match="line 4 is no valid event"):
        CliRunner().invoke(app, ["sinks", "route-test", str(events)], catch_exceptions=False)


def test_without_a_file_or_a_sink_it_is_said(tmp_path: Path, events: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        CliRunner().invoke(app, ["sinks", "route-test", "nowhere.jsonl"], catch_exceptions=False)
    (tmp_path / "streamer.toml").write_text("")
    with pytest.raises(ConfigError, match="no sink is configured"):
        CliRunner().invoke(app, ["sinks", "route-test", str(events)], catch_exceptions=False)


def test_a_route_decides_for_all_sinks_and_one_to_nowhere_is_refused(events: Path) -> None:
    config = events.with_name("streamer.toml")
    config.write_text(f'[[routes]]\nsinks = ["fail*"]\n{CONFIG}')
    result = CliRunner().invoke(app, ["sinks", "route-test", str(events)], catch_exceptions=False)
    _, failed, _ = (line.split() for line in result.stdout.splitlines())
    assert failed == ["1", "FAILED", "etl", "yes", "route", "1:", "fail*"]
    config.write_text(f'[[routes]]\nsinks = ["all", "archive"]\n{CONFIG}')
    with pytest.raises(ConfigError, match="route 1 leads to archive, and there is no such sink"):
        CliRunner().invoke(app, ["sinks", "route-test", str(events)], catch_exceptions=False)
