"""The kinds of panels that our dashboards are made of; sizes are in Grafana's grid, 24 wide."""

import re
from collections.abc import Iterable, Sequence
from itertools import count
from typing import NamedTuple

from grafana_foundation_sdk.builders import common, heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

Panel = Builder[models.Panel]

SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")

GREEN, YELLOW, RED = "green", "yellow", "red"


class Query(NamedTuple):
    """An expression, and what its series are called, such as `{{flow}}`."""

    expr: str
    legend: str = ""


def lines(title: str, unit: str, *queries: Query, about: str = "", stacked: bool = False, width: int = 8) -> Panel:
    """Return curves over time."""
    mode = common_models.StackingMode.NORMAL if stacked else common_models.StackingMode.NONE
    panel = (
        timeseries.Panel()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .unit(unit)
        .min(0)
        .span(width)
        .height(8)
        .fill_opacity(30 if stacked else 0)
        .stacking(common.StackingConfig().mode(mode))
        .legend(common.VizLegendOptions().show_legend(True).placement(common_models.LegendPlacement.BOTTOM))
    )
    for query in _targets(queries):
        panel.with_target(query.range())
    return panel


def number(
    title: str, unit: str, query: Query, *, steps: Sequence[tuple[float, str]] = (), base: str = GREEN, about: str = ""
) -> Panel:
    """Return the newest values as figures; coloured `base`, and from each step on in the step's colour."""
    thresholds = [models.Threshold(value=None, color=base), *(models.Threshold(value, color) for value, color in steps)]
    panel = (
        stat.Panel()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .unit(unit)
        .span(4)
        .height(5)
        .color_mode(common_models.BigValueColorMode.VALUE)
        .graph_mode(common_models.BigValueGraphMode.NONE)
        .thresholds(build.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(thresholds))
    )
    for target in _targets([query]):
        panel.with_target(target.instant())
    return panel


def yes_or_no(title: str, query: Query, *, about: str = "") -> Panel:
    """Return a figure that is 1 when all is well, and otherwise 0."""
    return number(title, "bool_yes_no", query, base=RED, steps=[(1, GREEN)], about=about)


def rows(title: str, unit: str, query: Query, *, about: str = "", width: int = 12) -> Panel:
    """Return a table of the newest values, a line for each series, the highest on top."""
    hidden = {"excludeByName": {"Time": True, "__name__": True, "job": True}}
    panel = (
        table.Panel()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .unit(unit)
        .span(width)
        .height(8)
        .sort_by([common.TableSortByFieldState().display_name("Value").desc(True)])
        .with_transformation(models.DataTransformerConfig(id_val="organize", options=hidden))
    )
    for target in _targets([query]):
        panel.with_target(target.instant().format(PromQueryFormat.TABLE))
    return panel


def density(title: str, unit: str, query: Query, *, about: str = "") -> Panel:
    """Return a heat map of a histogram's buckets."""
    panel = (
        heatmap.Panel()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .span(12)
        .height(8)
        .calculate(False)
        .y_axis(heatmap.YAxisConfig().unit(unit))
    )
    for target in _targets([query]):
        panel.with_target(target.range().format(PromQueryFormat.HEATMAP))
    return panel


def variable(name: str, query: str, *, label: str = "") -> build.QueryVariable:
    """Return a template variable with a query's answers; all of them at first, and none is one too."""
    everything = models.VariableOption(selected=True, text="All", value="$__all")
    return (
        build.QueryVariable(name)
        .label(label or name.replace("_", " "))
        .datasource(SOURCE)
        .query(query)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(everything)
    )


def dashboard(
    uid: str,
    title: str,
    variables: Iterable[build.QueryVariable],
    sections: Iterable[tuple[str, Sequence[Panel]]],
) -> models.Dashboard:
    """Return a dashboard of named sections; each starts on a line of its own."""
    made = (
        build.Dashboard(title)
        .uid(uid)
        .tags(["prefect", "streamer"])
        .time("now-6h", "now")
        .refresh("30s")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(build.DatasourceVariable("datasource").label("data source").type("prometheus"))
        .link(build.DashboardLink("Prefect").type(models.DashboardLinkType.DASHBOARDS).tags(["streamer"]))
    )
    for each in variables:
        made.with_variable(each)
    for heading, panels in sections:
        made.with_row(build.Row(heading))
        for panel in panels:
            made.with_panel(panel)
    return _numbered(made.build())


def of_who_leads(expr: str) -> str:
    """Return an expression that passes over replicas that stand by: what they show of runs, who leads shows, too."""
    return _OF_RUNS.sub(r"(\g<0> unless on (job, instance) prefect_streamer_leader == 0)", expr)


_SELECTOR = r"(?<![\w:])prefect_(?:flow|work)\w*\{[^}]*\}"
_OF_RUNS = re.compile(rf"(?:rate|increase)\({_SELECTOR}\[[^]]+\]\)|{_SELECTOR}")


def _targets(queries: Iterable[Query]) -> Iterable[prometheus.Dataquery]:
    for letter, query in zip("ABCDEFGH", queries, strict=False):
        target = prometheus.Dataquery().ref_id(letter).datasource(SOURCE)
        yield target.expr(of_who_leads(query.expr)).legend_format(query.legend)


def _numbered(made: models.Dashboard) -> models.Dashboard:
    """Give each panel an id; links to panels hold it."""
    numbers = count(1)
    for panel in made.panels or ():
        panel.id_val = next(numbers)
    return made
