"""Prometheus itself accepts the configuration and the rules, and the rules fire when they should."""

import shutil
import subprocess
from pathlib import Path

import pytest

PROMETHEUS = Path(__file__).parents[2] / "deploy/prometheus"

pytestmark = pytest.mark.services


def promtool(*arguments: str | Path) -> None:
    """Run promtool and fail with what it said."""
    program = shutil.which("promtool")
    if program is None:
        pytest.fail("promtool is missing: run .ci/services, or install Debian's package `prometheus`")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def yaml_files(folder: Path) -> list[Path]:
    files = sorted(folder.glob("*.yml"))
    assert files, f"no rules in {folder}"
    return files


def test_configuration_is_accepted(tmp_path: Path) -> None:
    text = (PROMETHEUS / "prometheus.yml").read_text()
    adapted = tmp_path / "prometheus.yml"
    adapted.write_text(text.replace("/etc/prometheus/", f"{PROMETHEUS}/"))
    promtool("check", "config", adapted)


def test_rules_are_accepted() -> None:
    promtool("check", "rules", *yaml_files(PROMETHEUS / "rules"))


def test_rules_fire_when_they_should_and_only_then() -> None:
    promtool("test", "rules", *yaml_files(PROMETHEUS / "rules/tests"))
