"""The dashboards are what their program makes, and they and the rules ask for metrics that there are."""

import json
import re
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest

from deploy.grafana import generate
from tests.test_deploy import ALL_RULES, RECORDINGS, metrics_in
from tests.test_metrics import CATALOGUE

GRID = 24

COMING: frozenset[str] = frozenset()
"""Names that nothing registers yet and dashboards or rules ask for. Whoever registers one takes it out."""

NOT_OURS = {"up"}
RECORDED = {rule["record"] for rule in RECORDINGS}
FILES = sorted(generate.DASHBOARDS.glob("*.json"))


def boards() -> dict[str, dict[str, Any]]:
    return {file.stem: json.loads(file.read_text()) for file in FILES}


def panels(board: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the panels that show something, which rows do not."""
    yield from (panel for panel in board["panels"] if panel["type"] != "row")


def panel_queries() -> dict[str, str]:
    """Return the expression of each target of each panel, by where it is."""
    return {
        f"{name}: {panel['title']} {target['refId']}": target["expr"]
        for name, board in boards().items()
        for panel in panels(board)
        for target in panel["targets"]
    }


def variable_queries() -> dict[str, str]:
    """Return what each variable asks for the labels of, by where it is."""
    return {
        f"{name}: ${variable['name']}": re.sub(r"^label_values\((.+), \w+\)$", r"\1", variable["query"])
        for name, board in boards().items()
        for variable in board["templating"]["list"]
        if variable["type"] == "query"
    }


QUERIES = {**panel_queries(), **variable_queries()}


def families_in(expression: str) -> set[str]:
    """Return the metrics of an expression as the catalogue names them: a histogram by its own name."""
    names = metrics_in(expression)
    return {re.sub(r"_(bucket|sum|count)$", "", name) if name not in CATALOGUE else name for name in names}


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    across = one["x"] < other["x"] + other["w"] and other["x"] < one["x"] + one["w"]
    return across and one["y"] < other["y"] + other["h"] and other["y"] < one["y"] + one["h"]


def test_dashboards_are_what_their_program_makes() -> None:
    assert {file.name: file.read_text() for file in FILES} == generate.made()


@pytest.mark.parametrize("name", [*QUERIES, *ALL_RULES])
def test_every_expression_asks_for_metrics_of_the_catalogue_only(name: str) -> None:
    expression = {**QUERIES, **ALL_RULES}[name]
    found = families_in(expression) - RECORDED - NOT_OURS
    assert found or metrics_in(expression)
    assert found - CATALOGUE.keys() - COMING == set()


def test_what_is_registered_is_no_longer_coming_and_nothing_else_is() -> None:
    asked = {family for expression in (*QUERIES.values(), *ALL_RULES.values()) for family in families_in(expression)}
    assert COMING & CATALOGUE.keys() == set()
    assert COMING - asked == set()


def test_histograms_are_asked_for_by_their_parts_and_others_by_their_name() -> None:
    for expression in (*QUERIES.values(), *ALL_RULES.values()):
        for name in metrics_in(expression) & CATALOGUE.keys():
            assert CATALOGUE[name][0] != "histogram", expression


@pytest.mark.parametrize("name", boards())
def test_variables_in_expressions_are_those_of_the_dashboard(name: str) -> None:
    board = boards()[name]
    declared = {variable["name"] for variable in board["templating"]["list"]}
    used = set(re.findall(r"\$(?!__)\{?(\w+)", json.dumps(board)))
    assert used == declared


@pytest.mark.parametrize("name", boards())
def test_every_panel_has_a_title_an_id_and_a_place_of_its_own(name: str) -> None:
    shown = boards()[name]["panels"]
    assert all(panel["title"] for panel in shown)
    assert len({panel["id"] for panel in shown}) == len(shown)
    assert [panel["title"] for panel in shown if panel["gridPos"]["x"] + panel["gridPos"]["w"] > GRID] == []
    places = [(panel["title"], panel["gridPos"]) for panel in shown]
    assert [(one[0], other[0]) for one, other in combinations(places, 2) if overlap(one[1], other[1])] == []


@pytest.mark.parametrize("name", boards())
def test_every_panel_asks_the_chosen_source_and_is_given_its_unit(name: str) -> None:
    for panel in panels(boards()[name]):
        sources = {json.dumps(each["datasource"], sort_keys=True) for each in (panel, *panel["targets"])}
        assert sources == {'{"type": "prometheus", "uid": "${datasource}"}'}
        if panel["type"] != "heatmap":
            assert panel["fieldConfig"]["defaults"]["unit"]


def test_dashboards_have_names_that_stay() -> None:
    uids = {name: board["uid"] for name, board in boards().items()}
    assert uids == {name: f"prefect-{name}" for name in ("deployment", "fleet", "streamer")}
