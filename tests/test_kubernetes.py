"""The manifests for Kubernetes agree with its schemas, with one another and with the code."""

import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from deploy.kubernetes import generate
from streamer import config
from tests.test_deploy import instructions

FOLDER = generate.HERE
VERSION = "1.29"


def load(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text())


RESOURCES: list[str] = load("kustomization.yml")["resources"]
OF_THE_OPERATOR = {"service_monitor.yml", "prometheus_rule.yml"}


def container() -> dict[str, Any]:
    (found,) = load("deployment.yml")["spec"]["template"]["spec"]["containers"]
    return dict(found)


def settings() -> config.Settings:
    return config.only(**tomllib.loads((FOLDER / "streamer.toml").read_text()))


def test_all_that_is_there_is_applied() -> None:
    assert {path.name for path in FOLDER.glob("*.yml")} == {*RESOURCES, "kustomization.yml"}


@pytest.mark.parametrize("name", sorted(set(RESOURCES) - OF_THE_OPERATOR))
def test_it_is_what_kubernetes_takes(name: str) -> None:
    kubernetes_validate.validate(load(name), VERSION, strict=True)


def test_what_kubernetes_does_not_take_is_seen() -> None:
    wrong = load("deployment.yml")
    wrong["spec"]["replcas"] = 2
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSION, strict=True)


def test_all_select_the_same_pods() -> None:
    labels = load("deployment.yml")["spec"]["template"]["metadata"]["labels"]
    selectors = [
        load("deployment.yml")["spec"]["selector"]["matchLabels"],
        load("service.yml")["spec"]["selector"],
        load("disruption_budget.yml")["spec"]["selector"]["matchLabels"],
    ]
    assert selectors == [labels] * 3
    assert load("service_monitor.yml")["spec"]["selector"]["matchLabels"] == load("service.yml")["metadata"]["labels"]


def test_ports_and_names_lead_to_one_another() -> None:
    (port,), (of_service,) = container()["ports"], load("service.yml")["spec"]["ports"]
    (endpoint,) = load("service_monitor.yml")["spec"]["endpoints"]
    assert port["name"] == of_service["targetPort"] == of_service["name"] == endpoint["port"]
    assert (port["containerPort"], of_service["port"]) == (settings().listen_address[1],) * 2
    assert load("service.yml")["metadata"]["name"] == "streamer", "it is the job that rules and dashboards ask for"
    (secret,) = container()["envFrom"]
    assert secret["secretRef"]["name"] == load("secret.yml")["metadata"]["name"]
    (generated,) = load("kustomization.yml")["configMapGenerator"]
    assert generated["name"] in {each["configMap"]["name"] for each in volumes() if "configMap" in each}
    assert load("kustomization.yml")["images"][0]["name"] == container()["image"]


def volumes() -> list[dict[str, Any]]:
    return list(load("deployment.yml")["spec"]["template"]["spec"]["volumes"])


def test_the_configuration_is_read_where_it_is_mounted_and_the_environment_holds_settings() -> None:
    mounts = {each["name"]: each["mountPath"] for each in container()["volumeMounts"]}
    assert mounts.keys() == {each["name"] for each in volumes()}
    environment = {each["name"]: each["value"] for each in container()["env"]}
    assert Path(environment.pop("STREAMER_CONFIG")) == Path(mounts["config"]) / "streamer.toml"
    given = environment.keys() | load("secret.yml")["stringData"].keys() - {"PGPASSWORD"}
    assert {name.removeprefix("STREAMER_").lower() for name in given} <= config.Settings.model_fields.keys()
    homes = [value for word, rest in instructions() if word == "ENV" for value in rest.split() if "HOME" in value]
    assert homes == [f"STREAMER_HOME={mounts['data']}"]


def test_replicas_have_a_store_that_they_can_share_and_the_image_what_that_needs() -> None:
    assert load("deployment.yml")["spec"]["replicas"] > 1
    assert str(settings().place) == "postgresql://streamer@postgres/streamer?schema=streamer"
    assert any("[postgres]" in rest for word, rest in instructions() if word == "RUN")


def test_a_pod_runs_as_the_images_user_and_has_time_to_stop() -> None:
    pod = load("deployment.yml")["spec"]["template"]["spec"]
    (user,) = [rest for word, rest in instructions() if word == "USER"]
    assert user == f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}"
    assert timedelta(seconds=pod["terminationGracePeriodSeconds"]) > settings().grace + timedelta(seconds=10)


def test_probes_ask_what_there_is() -> None:
    assert container()["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert container()["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_the_operators_rules_are_ours() -> None:
    assert generate.FILE.read_text() == generate.made()
    assert load("prometheus_rule.yml")["spec"]["groups"]
