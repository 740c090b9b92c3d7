"""Write the rules as the Prometheus operator takes them: `python -m deploy.kubernetes.generate`; a test compares."""

from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
RULES = HERE.parent / "prometheus" / "rules"
FILE = HERE / "prometheus_rule.yml"


def made() -> str:
    """Return the text of the file: all groups of all our rules."""
    groups = [group for file in sorted(RULES.glob("*.yml")) for group in yaml.safe_load(file.read_text())["groups"]]
    resource: dict[str, Any] = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "streamer"},
        "spec": {"groups": groups},
    }
    head = "# Made by `python -m deploy.kubernetes.generate` of deploy/prometheus/rules.\n"
    return head + yaml.safe_dump(resource, sort_keys=False, width=120)


if __name__ == "__main__":
    FILE.write_text(made(), encoding="utf-8")
