"""The files that deploy the service agree with one another, and with the code."""

import re
from collections.abc import Iterator
from datetime import timedelta
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from streamer.durations import duration

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
YAML_FILES = [ROOT / "docker-compose.yml", *sorted(DEPLOY.rglob("*.yml"))]
READ_APART_FROM_SETTINGS = {"STREAMER_HOME"}
PROMQL_WORDS = {"and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "bool", "offset"}


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def services() -> dict[str, dict[str, Any]]:
    return dict(load(ROOT / "docker-compose.yml")["services"])


def volumes() -> Iterator[tuple[str, str]]:
    """Yield what each service mounts, and where."""
    for service in services().values():
        for volume in service.get("volumes", []):
            source, target, *_ = volume.split(":")
            yield source, target


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions, each with what follows it."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def rules(kind: str) -> list[dict[str, Any]]:
    """Return the rules that have an `alert`, or a `record`."""
    files = sorted((DEPLOY / "prometheus/rules").glob("*.yml"))
    every = [rule for file in files for group in load(file)["groups"] for rule in group["rules"]]
    return [rule for rule in every if kind in rule]


ALERTS = rules("alert")
RECORDINGS = rules("record")
ALERT_NAMES = [rule["alert"] for rule in ALERTS]

WATCHDOG = "StreamerWatchdog"
"""The alert that always fires."""

ALL_RULES = {rule.get("alert") or rule["record"]: rule["expr"] for rule in (*ALERTS, *RECORDINGS)}
del ALL_RULES[WATCHDOG]  # it asks for nothing


def shown_cases() -> Iterator[tuple[str, bool]]:
    """Yield alert by alert what the rules' own tests expect: that it fires, or that it does not."""
    for file in sorted((DEPLOY / "prometheus/rules/tests").glob("*.yml")):
        for test in load(file)["tests"]:
            yield from ((case["alertname"], bool(case["exp_alerts"])) for case in test["alert_rule_test"])


def sections() -> dict[str, str]:
    """Return the runbook's sections by the anchor that a link to them has."""
    _, *parts = re.split(r"^## ", (ROOT / "docs/runbook.md").read_text(), flags=re.MULTILINE)
    return {heading.lower(): text for heading, _, text in (part.partition("\n") for part in parts)}


def metrics_in(expression: str) -> set[str]:
    """Return the metric names of a PromQL expression: its words that are no label, function, duration or keyword."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]|\b(by|without|on|ignoring)\s*\([^)]*\)', " ", expression)
    return set(re.findall(r"\b[a-zA-Z_:][\w:]*\b(?!\s*\()", bare)) - PROMQL_WORDS


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_yaml_file_holds_a_mapping(path: Path) -> None:
    assert isinstance(load(path), dict)


def test_every_file_that_compose_mounts_exists() -> None:
    mounted = [source for source, _ in volumes() if source.startswith(".")]
    assert mounted
    assert [source for source in mounted if not (ROOT / source).exists()] == []


def test_every_named_volume_is_declared_and_every_declared_one_is_used() -> None:
    named = {source for source, _ in volumes() if not source.startswith((".", "/"))}
    assert named == set(load(ROOT / "docker-compose.yml")["volumes"])


@pytest.mark.parametrize("name", services())
def test_every_service_comes_back_after_a_crash(name: str) -> None:
    assert services()[name]["restart"] == "unless-stopped"


def test_whoever_is_waited_for_exists_and_can_be_found_healthy() -> None:
    waits = [wait for service in services().values() for wait in service.get("depends_on", {}).items()]
    assert waits
    for name, how in waits:
        assert how == {"condition": "service_healthy"}
        assert services()[name]["healthcheck"]["test"][0] == "CMD"


def test_published_ports_are_bound_to_this_machine() -> None:
    ports = [port for service in services().values() for port in service.get("ports", [])]
    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_replicas_share_a_store_in_the_database_that_they_wait_for() -> None:
    replicas = [each for each in services().values() if each.get("profiles") == ["ha"]]
    assert len(replicas) == 2
    (store,) = {each["environment"]["STREAMER_STORE"] for each in replicas}
    host = re.fullmatch(r"postgresql://\w+@(\w+)/\w+\?schema=\w+", store)
    assert host
    assert all(host[1] in each["depends_on"] for each in replicas)
    assert len({port for each in replicas for port in each["ports"]}) == 2


def test_streamer_variables_are_settings() -> None:
    from streamer.config import Settings

    compose = {name for service in services().values() for name in service.get("environment", {})}
    image = {name for word, rest in instructions() if word == "ENV" for name in re.findall(r"(\w+)=", rest)}
    names = {name for name in compose | image if name.startswith("STREAMER_")} - READ_APART_FROM_SETTINGS
    assert names
    assert {name for name in names if name.removeprefix("STREAMER_").lower() not in Settings.model_fields} == set()


def test_image_ends_as_a_user_with_a_fixed_id_that_is_not_root() -> None:
    *_, user = [rest for word, rest in instructions() if word == "USER"]
    assert all(number.isdecimal() and int(number) > 0 for number in user.split(":"))


def test_what_the_image_copies_exists_and_is_let_through_by_dockerignore() -> None:
    copies = [rest.split()[:-1] for word, rest in instructions() if word == "COPY" and "--from" not in rest]
    copied = {source for sources in copies for source in sources}
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = [line.removeprefix("!") for line in lines if line.startswith("!")]
    assert "*" in lines
    assert copied == {source for source in copied if (ROOT / source).exists()}
    assert copied == {source for source in copied if any(fnmatch(source, pattern) for pattern in allowed)}


@pytest.mark.parametrize(
    ("file", "port"), [("prometheus/prometheus.yml", 9090), ("grafana/provisioning/datasources/prometheus.yml", 3000)]
)
def test_addresses_in_configuration_are_those_of_services(file: str, port: int) -> None:
    hosts = set(re.findall(r"[\"/]([a-z]+):\d+", (DEPLOY / file).read_text())) - {"localhost"}
    assert hosts
    assert hosts <= set(services())
    assert any(f"127.0.0.1:{port}:{port}" in service.get("ports", []) for service in services().values())


def test_prometheus_finds_the_rules_where_compose_mounts_them() -> None:
    targets = {target: source for source, target in volumes() if source.startswith(".")}
    for pattern in load(DEPLOY / "prometheus/prometheus.yml")["rule_files"]:
        folder = ROOT / targets["/etc/prometheus"]
        found = list(folder.glob(str(Path(pattern).relative_to("/etc/prometheus"))))
        assert found
        assert not any("tests" in file.parts[len(folder.parts) :] for file in found)


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ('absent(up{job="a"} == 1)', {"up"}),
        ("increase(prefect_x_total[15m]) > 0", {"prefect_x_total"}),
        ("sum by (flow) (rate(other_total[5m])) / on(flow) prefect_flow_runs", {"other_total", "prefect_flow_runs"}),
        ('a:b:c{flow=~"x"} > on (job) group_left () clamp_min(d[6d] offset 26h, 5) or vector(0)', {"a:b:c", "d"}),
    ],
)
def test_metric_names_are_found_in_an_expression(expression: str, names: set[str]) -> None:
    assert metrics_in(expression) == names


@pytest.mark.parametrize("name", ALL_RULES)
def test_every_rule_asks_for_our_metrics_only(name: str) -> None:
    names = metrics_in(ALL_RULES[name])
    ours = {rule["record"] for rule in RECORDINGS} | {"up"}
    assert names
    assert {name for name in names - ours if not name.startswith("prefect_")} == set()


def test_every_recording_is_asked_for_by_an_alert_or_a_dashboard() -> None:
    boards = "".join(path.read_text() for path in (DEPLOY / "grafana/dashboards").glob("*.json"))
    asked = boards + " ".join(ALL_RULES.values())
    assert [rule["record"] for rule in RECORDINGS if rule["record"] not in asked] == []


@pytest.mark.parametrize("rule", ALERTS, ids=ALERT_NAMES)
def test_every_alert_says_how_bad_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ({"none"} if rule["alert"] == WATCHDOG else {"warning", "critical"})
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert all(text.strip() for text in rule["annotations"].values())


@pytest.mark.parametrize("rule", ALERTS, ids=ALERT_NAMES)
def test_every_alert_has_its_section_in_the_runbook(rule: dict[str, Any]) -> None:
    file, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert (file, anchor) == ("docs/runbook.md", rule["alert"].lower())
    parts = re.findall(r"^\*\*(.+?)\.\*\*", sections().get(anchor, ""), re.MULTILINE)
    assert parts == ["Means", "How bad", "Look first", "Do"]


def test_runbook_has_no_section_for_an_alert_that_does_not_exist() -> None:
    assert sections().keys() == {name.lower() for name in ALERT_NAMES}


def test_commands_in_runbook_exist() -> None:
    from typer.main import get_command

    from streamer.cli import app

    top = getattr(get_command(app), "commands", {})
    commands = {name: getattr(command, "commands", {}) for name, command in top.items()}
    told = re.findall(r"`streamer ([a-z-]+)(?: ([a-z]+))?", (ROOT / "docs/runbook.md").read_text())
    assert told
    assert [each for each in told if each[0] not in commands] == []
    assert [each for each in told if commands[each[0]] and each[1] not in commands[each[0]]] == []


@pytest.mark.parametrize("name", ALERT_NAMES)
def test_every_alert_is_shown_firing_and_silent(name: str) -> None:
    shown = {fires for alert, fires in shown_cases() if alert == name}
    assert shown == ({True} if name == WATCHDOG else {True, False})


def test_no_case_is_of_an_alert_that_does_not_exist() -> None:
    assert {alert for alert, _ in shown_cases()} == set(ALERT_NAMES)


def test_alertmanager_sends_the_watchdog_on_by_itself_each_time_it_looks() -> None:
    configuration = load(DEPLOY / "alertmanager/alertmanager.yml")
    (route,) = configuration["route"]["routes"]
    assert (route["matchers"], route["receiver"]) == ([f"alertname = {WATCHDOG}"], "watchdog")
    assert seconds(route["repeat_interval"]) < seconds(route["group_interval"]) <= 60
    assert {route["receiver"], configuration["route"]["receiver"]} == {
        each["name"] for each in configuration["receivers"]
    }


def seconds(text: str) -> float:
    found: timedelta = duration(text)
    return found.total_seconds()


def test_grafana_finds_the_dashboards_where_compose_mounts_them() -> None:
    targets = {target: ROOT / source for source, target in volumes() if source.startswith(".")}
    (provider,) = load(DEPLOY / "grafana/provisioning/dashboards/streamer.yml")["providers"]
    assert targets["/etc/grafana/provisioning/dashboards"] == DEPLOY / "grafana/provisioning/dashboards"
    assert sorted(file.name for file in targets[provider["options"]["path"]].glob("*.json")) == [
        "deployment.json",
        "fleet.json",
        "streamer.json",
    ]
