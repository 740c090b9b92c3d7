"""The documentation and the code say the same."""

import re
import tomllib
from pathlib import Path

import pytest
from typer.main import get_command

from schemas import StateType
from streamer import config, push, sinks
from streamer.alerts.conditions import KINDS
from streamer.alerts.rule import Rule
from streamer.cli import app
from streamer.clock import SystemClock
from streamer.config import Settings
from streamer.instruments import Instruments
from streamer.redaction import Droppable
from streamer.routing import Criteria
from streamer.rules import LivenessSettings
from streamer.sinks.formats import Format, Formatted
from streamer.sinks.options import Login, Tls
from streamer.suspicion import USUAL, Move
from tests.gauges import AllMetrics

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
ALERTS = (ROOT / "docs/alerts.md").read_text(encoding="utf-8")
METRICS = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
LIVENESS = (ROOT / "docs/liveness.md").read_text(encoding="utf-8")

PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))


def table(heading: str, page: str = README) -> list[list[str]]:
    """Return the cells of the last table below a heading of a page, head and ruler left out."""
    section = re.split(rf"^##? {heading}\n", page, maxsplit=1, flags=re.MULTILINE)[1].split("\n## ", 1)[0]
    rows = [line for line in re.split(r"\n(?!\|)", section) if "|---|" in line][-1].splitlines()
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows if row.startswith("|")][2:]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


SHARED = (Formatted, Tls, Login)
"""Options of several sinks, which the README tells once."""


def test_every_setting_is_documented_and_no_other() -> None:
    assert {name for row in table("Settings") for name in quoted(row[0])} == set(Settings.model_fields)


def test_defaults_are_as_documented() -> None:
    documented = {quoted(row[0])[0]: quoted(row[1]) for row in table("Settings")}
    for name in ("api_url", "source", "listen", "log_level"):
        assert documented[name] == [Settings.model_fields[name].default]


def test_every_metric_is_documented_with_its_type_and_labels_and_no_other() -> None:
    shown = {}
    for family in AllMetrics(SystemClock()).counters.exposed.collect():
        name = family.name + ("_total" if family.type == "counter" else "")
        shown[name] = family.type
    documented = {quoted(row[0])[0]: row[1] for row in table("Metrics", METRICS)}
    assert documented == shown


def test_labels_are_as_documented() -> None:
    rows = table("Metrics", METRICS)
    documented = {quoted(row[0])[0].removesuffix("_total"): row[2] if len(row) > 2 else "" for row in rows}
    for collector in vars(Instruments()).values():
        if name := getattr(collector, "_name", None):
            assert documented[name] == ", ".join(collector._labelnames), name


def test_every_command_is_documented_and_no_other() -> None:
    command = get_command(app)
    commands = getattr(command, "commands", {})
    groups = {name: getattr(each, "commands", {}) for name, each in commands.items()}
    there = {f"{name} {sub}" for name, subs in groups.items() for sub in subs} | {
        name for name, subs in groups.items() if not subs
    }
    documented = {" ".join(re.findall(r"\b[a-z]+(?:-[a-z]+)*\b", quoted(row[0])[0])[1:]) for row in table("Commands")}
    assert documented == there


def test_every_sink_is_documented_with_its_options_and_no_other() -> None:
    documented = {kind: set(quoted(row[2])) - {"100MB"} for row in table("Sinks") for kind in quoted(row[0])}
    assert set(documented) == set(sinks.installed())
    for kind, options in documented.items():
        own = sinks.load(kind).Options
        shared = {name for mixin in SHARED if issubclass(own, mixin) for name in mixin.model_fields}
        assert options | {"path"} == set(own.model_fields) - shared | {"path"}


def test_options_that_sinks_share_are_documented() -> None:
    section = README.split("\n## Sinks\n", 1)[1].split("\n## ", 1)[0]
    words = set(re.findall(r"[a-z_-]+", section))
    for mixin in SHARED:
        assert set(mixin.model_fields) <= words, mixin
    assert {*Format, *Droppable} <= words


def test_every_push_is_documented_with_its_options_and_no_other() -> None:
    documented = {quoted(row[0])[0]: set(quoted(row[2])) - {"global"} for row in table("Push", METRICS)}
    assert documented == {kind: set(push.load(kind).Options.model_fields) for kind in push.KINDS}


def test_documented_push_is_valid() -> None:
    section = METRICS.split("\n## Push\n", 1)[1]
    settings = tomllib.loads(section.split("```toml\n", 1)[1].split("```", 1)[0])["push"]
    for name, each in config.only(push=settings).push.items():
        push.build(name, each.type, each.options).close()


def test_documented_configuration_is_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toml = README.split("```toml\n", 1)[1].split("```", 1)[0]
    (tmp_path / "streamer.toml").write_text(toml)
    monkeypatch.chdir(tmp_path)
    settings = config.load()
    assert list(settings.sinks) == ["archive"]
    sinks.build(settings.sinks["archive"].type, settings.sinks["archive"].options)


def test_documented_routing_is_valid() -> None:
    toml = README.split("\n## Sinks\n", 1)[1].split("```toml\n", 1)[1].split("```", 1)[0]
    (documented,) = config.only(**tomllib.loads(toml)).sinks.values()
    assert documented.match != Criteria()
    sinks.build(documented.type, documented.options)


def test_documented_routes_are_valid() -> None:
    toml = README.split("\n## Sinks\n", 1)[1].split("[[routes]]", 1)[1].split("```", 1)[0]
    drop, lead = config.only(**tomllib.loads("[[routes]]" + toml)).routes
    assert drop.drop
    assert lead.sinks


def test_every_criterion_of_a_routing_is_documented() -> None:
    section = README.split("\n## Sinks\n", 1)[1].split("\n```toml", 1)[0]
    assert set(Criteria.model_fields) <= set(quoted(section))


def test_documented_limits_of_liveness_are_the_defaults() -> None:
    documented = tomllib.loads(LIVENESS.split("```toml\n[liveness]", 1)[1].split("\n[[", 1)[0].partition("\n")[2])
    said, unsaid = LivenessSettings(**documented), LivenessSettings()
    assert set(documented) == set(LivenessSettings.model_fields) - {"overrides", "enabled"}
    assert (said.acting, said.sla_tag) == (unsaid.acting, unsaid.sla_tag)
    move = Move(0, StateType.RUNNING, "Running")
    assert said.limits_of(move, {}) == unsaid.limits_of(move, {}) == USUAL


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_what_is_there(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text(encoding="utf-8")):
        file, _, heading = target.partition("#")
        linked = (page.parent / file).resolve() if file else page
        assert linked.exists(), target
        assert not heading or heading in anchors(linked), target


def anchors(page: Path) -> set[str]:
    """Return what the headings of a page can be linked by."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def rows(page: str) -> list[list[str]]:
    """Return the cells of all rows of a page's tables."""
    lines = [line for line in page.splitlines() if line.startswith("|") and "|---|" not in line]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_documented_rules_are_valid_and_there_is_one_of_each_kind() -> None:
    documented = tomllib.loads(ALERTS.split("\n## Rules\n", 1)[1].split("```toml\n", 1)[1].split("```", 1)[0])
    rules = config.only(**documented).alerts
    assert {type(rule) for rule in rules.values()} == set(KINDS.values())


def test_rules_in_the_readme_are_valid() -> None:
    toml = README.split("\n## Alerts\n", 1)[1].split("```toml\n", 1)[1].split("```", 1)[0]
    settings = config.only(**tomllib.loads(toml))
    assert settings.alerts
    for each in settings.sinks.values():
        sinks.build(each.type, {**each.options, "url_file": __file__})


def test_every_kind_of_rule_is_documented_with_its_keys_and_no_other() -> None:
    section = rows(ALERTS.split("\n## Rules\n", 1)[1].split("\n## ", 1)[0])
    common = {name for row in section if len(row) == 3 for name in quoted(row[0])} - {"on"}
    assert common == set(Rule.model_fields)
    own = {quoted(row[0])[0]: set(quoted(row[1])) - {"zombie"} for row in section if len(row) == 4}
    assert own.pop("on") == set()
    assert own == {kind: set(each.model_fields) - common - {"on"} for kind, each in KINDS.items()}


def test_readme_shows_the_two_commands_that_make_has() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make ([a-z-]+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    assert re.findall(r"^make ([a-z-]+)", README, re.MULTILINE) == ["demo", "test"]
