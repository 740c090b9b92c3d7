"""Imports point down only, and the pure core stays pure; each module has its place in the table below."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"schemas", "streamer"}),
    frozenset(
        {
            "audit",
            "synthesis",
            "model",
            "errors",
            "protocol",
            "routing",
            "counting",
            "runs",
            "run_details",
            "run_view",
            "search",
            "summary_view",
            "suspicion",
            "lifesigns",
            "liveness",
            "timestamps",
            "instruments",
            "selection",
            "durations",
            "inventory",
            "measuring",
            "redaction",
            "questions",
            "reports",
            "starts",
            "alert_message",
            "surroundings",
        }
    ),
    frozenset(
        {"backoff", "clock", "health", "intake", "interpreter", "log", "pipeline", "batching", "delivery", "watch"}
    ),
    frozenset({"alerts", "source", "store", "sinks", "push", "web", "metrics"}),
    frozenset(
        {
            "access",
            "alert_list",
            "answers",
            "board",
            "client",
            "config",
            "connecting",
            "core",
            "dead_man",
            "deliveries",
            "front",
            "ingesting",
            "logs",
            "metric_settings",
            "operating",
            "prefect_settings",
            "reloading",
            "rules",
            "run_facts",
            "run_server",
            "service",
            "server_settings",
            "serving",
            "showing",
            "standing_by",
            "told",
            "silencing",
            "sink_list",
            "sink_orders",
            "sink_trial",
            "toml_file",
            "pushes",
            "upkeep",
        }
    ),
    frozenset({"cli", "demo", "testing", "__main__"}),
)
PURE = LAYERS[0] | LAYERS[1]
APART = LAYERS[3]
EXCEPTIONS = {("web", "metrics")}
"""What the web shows at `/metrics` is `Metrics` itself: a protocol between the two would have one implementation."""

IMPURE = {"asyncio", "os", "random", "select", "socket", "sqlite3", "ssl", "subprocess", "threading", "time"}
FOREIGN = {
    "schemas": {"orjson", "pydantic", "pydantic_core"},
    "instruments": {"prometheus_client"},
    "routing": {"pydantic"},
    "selection": {"pydantic"},
    "durations": {"pydantic"},
    "questions": {"pydantic"},
    "starts": {"pydantic"},
    "redaction": {"pydantic", "pydantic_core"},
}


def modules() -> Iterator[tuple[str, Path]]:
    """Yield the dotted name and the file of each module we ship."""
    for path in sorted([*ROOT.glob("schemas/**/*.py"), *ROOT.glob("streamer/**/*.py")]):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def room(module: str) -> str:
    """Return the module or package directly below `streamer`, or the package that stands beside it."""
    package, _, rest = module.partition(".")
    return rest.partition(".")[0] if package == "streamer" and rest else package


def layer(name: str) -> int | None:
    return next((number for number, rooms in enumerate(LAYERS) if name in rooms), None)


def imports(tree: ast.Module) -> Iterator[str]:
    """Yield what is imported anywhere in a module, a name taken from the root package as the module it is."""
    rooms = frozenset().union(*LAYERS)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield "." * node.level + (node.module or "")
        elif isinstance(node, ast.ImportFrom) and node.module == "streamer":
            yield from (f"streamer.{alias.name}" if alias.name in rooms else "streamer" for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def faults(module: str, source: str) -> list[str]:
    """Return what is wrong with a module's imports, a sentence each."""
    here, tree = room(module), ast.parse(source)
    found = [] if layer(here) is not None else [f"{here} has no layer"]
    for imported in imports(tree):
        found += _faults_of_import(here, imported)
    if here in PURE and any(isinstance(node, ast.Attribute) and _reads_the_clock(node) for node in ast.walk(tree)):
        found.append(f"{here} reads the clock")
    return found


def _faults_of_import(here: str, imported: str) -> Iterator[str]:
    package = imported.partition(".")[0]
    if not package:
        yield f"{here} imports {imported}, which does not say from where"
    elif package in ("streamer", "schemas"):
        yield from _faults_of_way(here, room(imported))
    elif here in PURE and package in IMPURE:
        yield f"{here} is pure, and imports {imported}"
    elif here in PURE and package not in sys.stdlib_module_names | FOREIGN.get(here, set()):
        yield f"{here} may not import {package}"


def _faults_of_way(here: str, there: str) -> Iterator[str]:
    above, below = layer(here), layer(there)
    if above is None or below is None or above < below:
        yield f"{here} imports {there}, which is not below it"
    elif {here, there} <= APART and here != there and (here, there) not in EXCEPTIONS:
        yield f"{here} and {there} may not know each other"


def _reads_the_clock(node: ast.Attribute) -> bool:
    of = ast.unparse(node.value).rpartition(".")[2]
    return node.attr in ("now", "utcnow", "today") and of in ("datetime", "date")


@pytest.mark.parametrize(("module", "path"), list(modules()), ids=[name for name, _ in modules()])
def test_a_module_has_a_layer_and_imports_from_below_only(module: str, path: Path) -> None:
    assert faults(module, path.read_text()) == []


def test_every_room_in_the_table_is_there() -> None:
    assert {room(module) for module, _ in modules()} == frozenset().union(*LAYERS)


def test_every_exception_is_needed() -> None:
    used = {(room(name), room(each)) for name, path in modules() for each in imports(ast.parse(path.read_text()))}
    assert used >= EXCEPTIONS


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("streamer.newcomer", ""),
        ("streamer.newcomer.deep", "import re"),
        ("streamer.log", "import streamer.newcomer"),
        ("streamer.model", "from streamer.log import Log"),
        ("streamer.log", "from streamer import service"),
        ("streamer.log", "def later():\n    import streamer.store.sqlite"),
        ("streamer.sinks.jsonl", "from streamer.store.sqlite import SqliteStore"),
        ("streamer.metrics", "from streamer.web.app import Status"),
        ("streamer.service", "from streamer.cli import main"),
        ("streamer.log", "from .model import Record"),
        ("schemas.event", "from streamer.model import Record"),
        ("schemas.event", "import httpx"),
        ("streamer.model", "import pydantic"),
        ("streamer.protocol", "import asyncio"),
        ("streamer.protocol", "from time import monotonic"),
        ("streamer.counting", "import sqlite3 as database"),
        ("schemas.event", "import socket"),
        ("streamer.runs", "from datetime import datetime\nmoment = datetime.now()"),
        ("schemas.event", "import datetime\nmoment = datetime.datetime.now"),
        ("schemas.event", "from datetime import date\nday = date.today()"),
    ],
)
def test_a_breach_is_found(module: str, source: str) -> None:
    assert faults(module, source) != []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("streamer.web.app", "from streamer.metrics.counters import Metrics"),
        ("streamer.store.sqlite", "from streamer.store import segments\nfrom streamer import counting\nimport sqlite3"),
        ("streamer.metrics", "from streamer import __version__"),
        ("streamer.protocol", "from datetime import datetime\nfrom schemas import Event"),
        ("streamer.cli.run", "from streamer.service import Service\nimport time"),
    ],
)
def test_what_is_allowed_passes(module: str, source: str) -> None:
    assert faults(module, source) == []
