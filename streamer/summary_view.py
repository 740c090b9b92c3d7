"""Pure: a flow or a deployment and how its runs fare as JSON has them, with names."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from streamer.questions import Summary
from streamer.run_view import NO_PAGES, Named, RunView, view


@dataclass(frozen=True, slots=True)
class FlowView:
    """A flow and how its runs fare, those left out that were deleted from the server.

    `latest` was created last; `latest_successful` ended last of those that are COMPLETED, `latest_failed` of those that
    are FAILED or CRASHED, and `consecutive_failures` of these ended after the last success.
    """

    id: str
    name: str | None
    source: str
    runs: int
    latest: RunView
    latest_successful: RunView | None
    latest_failed: RunView | None
    consecutive_failures: int


@dataclass(frozen=True, slots=True)
class DeploymentView:
    """A deployment, the flow that its latest run is of, and how its runs fare: see `FlowView`."""

    id: str
    name: str | None
    source: str
    flow: Named | None
    runs: int
    latest: RunView
    latest_successful: RunView | None
    latest_failed: RunView | None
    consecutive_failures: int


def flow_view(summary: Summary, names: Mapping[str, str], pages: Mapping[str, str] = NO_PAGES) -> FlowView:
    """Return a flow; `pages` has by source where Prefect's pages are."""
    return FlowView(**_fared(summary, names, pages))


def deployment_view(summary: Summary, names: Mapping[str, str], pages: Mapping[str, str] = NO_PAGES) -> DeploymentView:
    """Return a deployment; `pages` has by source where Prefect's pages are."""
    flow = Named(summary.flow, names.get(summary.flow)) if summary.flow else None
    return DeploymentView(flow=flow, **_fared(summary, names, pages))


def _fared(summary: Summary, names: Mapping[str, str], pages: Mapping[str, str]) -> dict[str, Any]:
    good, bad = summary.latest_successful, summary.latest_failed
    return {
        "id": summary.id,
        "name": summary.name,
        "source": summary.source,
        "runs": summary.runs,
        "latest": view(summary.latest, names, pages),
        "latest_successful": view(good, names, pages) if good else None,
        "latest_failed": view(bad, names, pages) if bad else None,
        "consecutive_failures": summary.consecutive_failures,
    }
