"""`streamer alerts test` and `rules`: what rules would have said of events, and what they are in words."""

import gzip
import re
from pathlib import Path

import orjson
import pytest

from schemas import Event
from streamer.errors import ConfigError
from tests.alerts.stories import moved
from tests.cli.test_alerts import REASON, RULES, run, toml

STORY = [moved(1, "a", "FAILED"), moved(2, "b", "FAILED"), moved(5, "c", "COMPLETED")]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with `streamer.toml`, which has more than rules, and `events.jsonl`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "streamer.toml").write_text('api_url = "http://127.0.0.1:1/api"\nunknown = 1\n' + toml(RULES))
    written(tmp_path, STORY)
    return tmp_path


def written(folder: Path, events: list[Event]) -> None:
    (folder / "events.jsonl").write_bytes(b"".join(event.raw + b"\n" for event in events))


def said(*options: str, rules: str = "streamer.toml", file: str = "events.jsonl") -> list[tuple[str, str, str, int]]:
    result = run("test", rules, file, "--json", *options)
    assert result.exception is None, result.output
    found = orjson.loads(result.stdout)["alerts"]
    return [(each["occurred"], each["rule"], each["status"], each["occurrences"]) for each in found]


def test_test_shows_what_would_have_been_said_and_when(folder: Path) -> None:
    lines = run("test", "streamer.toml", "events.jsonl").stdout.splitlines()
    head, *rows = [re.split(r" {2,}", line.strip()) for line in lines]
    assert head == ["time", "rule", "status", "of", "why", "occurrences"]
    assert rows == [
        ["2026-11-21T12:01:00.000000Z", "failed", "firing", "nightly", REASON, "1"],
        ["2026-11-21T12:05:00.000000Z", "failed", "resolved", "nightly", REASON, "2"],
    ]


def test_time_passes_with_the_events_and_beyond_the_last_for_as_long_as_is_asked(folder: Path) -> None:
    written(folder, [*STORY, moved(120, "d", "RUNNING")])
    stale = ("2026-11-21T13:05:00Z", "stale", "firing", 1)
    assert said()[2:] == [stale]
    written(folder, STORY)
    assert said()[2:] == []
    assert said("--until", "59m")[2:] == []
    assert said("--until", "1h")[2:] == [stale]


def test_files_may_be_packed_or_come_by_standard_input_and_an_event_counts_once(folder: Path) -> None:
    usual = said()
    written(folder, [STORY[0], *STORY])
    assert said() == usual
    (folder / "events.jsonl.gz").write_bytes(gzip.compress((folder / "events.jsonl").read_bytes()))
    assert said(file="events.jsonl.gz") == usual
    result = run("test", "streamer.toml", "-", "--json", stdin=(folder / "events.jsonl").read_bytes())
    assert len(orjson.loads(result.stdout)["alerts"]) == len(usual)


def test_if_nothing_would_have_been_said_that_is_said(folder: Path) -> None:
    written(folder, STORY[2:])
    assert run("test", "streamer.toml", "events.jsonl").stdout == "nothing would have been said\n"


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ("[alerts", "is no valid TOML"),
        ("", "has no rule"),
        ('[alerts.x]\non = "failures"\ncuont = 3', "alerts.x.failures.cuont is no setting (did you mean count?)"),
        ("[alerts.x]\ncount = 3", "alerts.x.on says which kind of rule it is: transition, verdict, "),
        ('[alerts.x]\non = "sometimes"', "alerts.x.on says which kind of rule it is: transition, verdict, "),
        ('[alerts.x]\non = "transition"\nquiet = ["at night"]', "'at night' is no quiet time such as 22:00-06:00"),
    ],
)
def test_what_is_wrong_with_rules_is_said_in_a_sentence(folder: Path, table: str, sentence: str) -> None:
    (folder / "rules.toml").write_text(table)
    result = run("test", "rules.toml", "events.jsonl")
    assert isinstance(result.exception, ConfigError)
    assert sentence in str(result.exception)


def test_what_is_no_event_is_named_by_its_line(folder: Path) -> None:
    with (folder / "events.jsonl").open("ab") as file:
        file.write(b"\n{}\n")
    assert "line 5 is no valid event" in str(run("test", "streamer.toml", "events.jsonl").exception)


def test_rules_are_shown_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = {
        "a": (
            {"on": "transition"},
            "a run enters FAILED or CRASHED, until one enters COMPLETED; one for each deployment",
        ),
        "b": (
            {
                "on": "transition",
                "match": {"from_states": ["RUNNING"], "state_names": ["Late"], "tags_any": ["x"]},
            },
            "a run enters any state called Late from RUNNING, until one enters COMPLETED; only tags_any x;"
            " one for each deployment",
        ),
        "c": ({"on": "verdict", "group": "run"}, "a run is held to be zombie; one for each run"),
        "d": (
            {"on": "failures", "count": 3, "exclude": {"flows": ["try-*"]}, "group": "all"},
            "3 runs fail one after the other, until one completes; but not flows try-*; one alert for all",
        ),
        "dd": ({"on": "failures", "count": 1}, "a run fails, until one completes; one for each deployment"),
        "e": (
            {"on": "failures", "count": 3, "within": "90m", "repeat": "1h", "resolve_after": "2d"},
            "3 runs fail within 90m; one for each deployment; said again every 1h; over after 2d without another",
        ),
        "f": (
            {"on": "failure_rate", "percent": 12.5, "within": "1h", "group": "work_pool"},
            "12.5 % of the runs, of 10 at least, fail within 1h; one for each work pool",
        ),
        "g": (
            {"on": "no_success", "within": "1d", "quiet": ["Fri-Mon", "Wed 22:00-06:00"], "timezone": "Europe/Berlin"},
            "no run completes for 24h; one for each deployment;"
            " nothing new Fri-Mon and Wed 22:00-06:00 (Europe/Berlin)",
        ),
        "h": (
            {"on": "held", "states": ["PENDING", "PAUSED"], "longer": "30m", "quiet": ["12:00-13:00"]},
            "a run is PENDING or PAUSED for longer than 30m; one for each deployment; nothing new 12:00-13:00 (UTC)",
        ),
    }
    (tmp_path / "streamer.toml").write_text(toml({name: rule for name, (rule, _) in shown.items()}))
    assert run("rules").stdout.splitlines() == [f"{name} (warning): {words}" for name, (_, words) in shown.items()]


def test_without_rules_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("rules").stdout == "there are no rules\n"
