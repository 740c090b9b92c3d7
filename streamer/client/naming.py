"""From a name, an id or a pathspec to what it names; or to the error that says why not."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from itertools import islice
from typing import TypeVar
from uuid import UUID

from streamer.client.errors import Ambiguous, NotFound, OutsideNamespace
from streamer.client.session import Known, Session, literally
from streamer.questions import TEXTS_MOST, DeploymentQuery, FlowQuery, RunQuery
from streamer.run_view import RunView, TaskRunView
from streamer.summary_view import DeploymentView, FlowView

Party = TypeVar("Party", FlowView, DeploymentView)

SHOWN = 10
"""How many candidates an error names."""


def flow(session: Session, text: str) -> FlowView:
    """Return the flow that has this name or id."""
    return _only(session, "flow", text, session.provider.flows(FlowQuery(names=(literally(text),))))


def deployment(session: Session, text: str, of: FlowView | None = None) -> DeploymentView:
    """Return the deployment that has this name, with the flow's and a slash before it or without, or this id."""
    name, within = text, of
    if "/" in text and of is None:
        first, _, name = text.partition("/")
        within = flow(session, first)
    query = DeploymentQuery(names=(literally(name),), flows=(within.id,) if within else ())
    return _only(session, "deployment", name, session.provider.deployments(query))


def run(session: Session, pathspec: str) -> Known:
    """Return the run of a pathspec, `flow/run`, or of an id or name alone."""
    known_flow, slash, name = pathspec.partition("/")
    return run_in(session, name, flow(session, known_flow)) if slash else run_in(session, pathspec)


def run_in(session: Session, text: str, of: FlowView | None = None) -> Known:
    """Return the run that has this name or id, of any flow or of one."""
    ident = as_id(text)
    by_id = session.by_id(ident) if ident else None
    found = [by_id] if by_id and (of is None or _is_of(by_id.run, of)) else _named(session, text, of)
    where = f"the flow {of.name or of.id!r} has" if of else "there is"
    if not found:
        raise NotFound(f"{where} no run {text!r}", hint="is it another server's, deleted, or older than what is kept?")
    inside = [each for each in found if session.is_inside(each.run)]
    if not inside:
        raise _outside(session, "run", text)
    if len(inside) > 1:
        raise _ambiguous("run", text, [str(each.run.id) for each in inside], [_described(each.run) for each in inside])
    return inside[0]


def task_run(runs: Sequence[TaskRunView], text: str, run: str) -> TaskRunView:
    """Return the task run that has this id, name or slug; the slug is the task's key, with the dynamic key or not."""
    ways = (
        lambda each: str(each.id) == text.lower(),
        lambda each: each.name == text,
        lambda each: text in (f"{each.task_key}-{each.dynamic_key}", each.task_key),
    )
    found: list[TaskRunView] = next((some for way in ways if (some := list(filter(way, runs)))), [])
    if not found:
        hint = _nearest(text, [each.name for each in runs]) or "only a run that has begun has task runs"
        raise NotFound(f"the run {run} has no task run {text!r}", hint)
    if len(found) > 1:
        raise _ambiguous(
            "task run", text, [str(each.id) for each in found], [f"{each.id} {each.name}" for each in found]
        )
    return found[0]


def as_id(text: str) -> UUID | None:
    """Return the id that a text is; None if it is none."""
    try:
        return UUID(text)
    except ValueError:
        return None


def _only(session: Session, kind: str, text: str, found: Iterable[Party]) -> Party:
    exact = [each for each in found if text in (each.id, each.name)]
    if not exact:
        raise NotFound(f"there is no {kind} {text!r}", _nearest(text, _names(session, kind)))
    inside = [each for each in exact if has_runs(session, kind, each)]
    if not inside:
        raise _outside(session, kind, text)
    if len(inside) > 1:
        shown = [f"{each.id} (of source {each.source}, {each.runs} runs)" for each in inside]
        raise _ambiguous(kind, text, [each.id for each in inside], shown)
    return inside[0]


def has_runs(session: Session, kind: str, party: FlowView | DeploymentView) -> bool:
    """Tell whether a flow or deployment has a run in the namespace."""
    if session.namespace is None:
        return True
    query = RunQuery(flows=(party.id,)) if kind == "flow" else RunQuery(deployments=(party.id,))
    return session.first(query) is not None


def _named(session: Session, text: str, of: FlowView | None) -> list[Known]:
    query = RunQuery(names=(literally(text),), flows=(of.id,) if of else ())
    return list(islice(session.everywhere(query), TEXTS_MOST))


def _is_of(run: RunView, flow: FlowView) -> bool:
    return run.flow is not None and run.flow.id == flow.id


def _names(session: Session, kind: str) -> list[str]:
    ask = session.provider
    found = ask.flows(FlowQuery()) if kind == "flow" else ask.deployments(DeploymentQuery())
    return [each.name for each in found if each.name and has_runs(session, kind, each)]


def _nearest(text: str, names: Sequence[str]) -> str | None:
    near = get_close_matches(text, names, 3, 0.5)
    return f"is it {' or '.join(map(repr, near))}?" if near else None


def _described(run: RunView) -> str:
    created = f", {run.created:%Y-%m-%d %H:%M:%S}" if run.created else ""
    return f"{run.id} ({run.state.name}{created})"


def _ambiguous(kind: str, text: str, candidates: Sequence[str], shown: Sequence[str]) -> Ambiguous:
    more = f" and {len(shown) - SHOWN} more" if len(shown) > SHOWN else ""
    sentence = f"{len(shown)} {kind}s are called {text!r}: {', '.join(shown[:SHOWN])}{more}"
    return Ambiguous(sentence, hint="name the one that is meant by its id", candidates=candidates)


def _outside(session: Session, kind: str, text: str) -> OutsideNamespace:
    sentence = f"the {kind} {text!r} is not in the namespace {session.namespace!r}"
    return OutsideNamespace(sentence, hint="namespace(None) lets all runs be seen, namespace(tag) those with a tag")
