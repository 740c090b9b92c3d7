"""What a question costs and how deep it is, reckoned before anything is looked up."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from graphql import (
    ExecutionResult,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    OperationDefinitionNode,
    SelectionSetNode,
    get_operation_ast,
    value_from_ast_untyped,
)
from strawberry.extensions import SchemaExtension
from typing_extensions import override

from streamer.questions import PAGE_MOST, PAGE_SIZE
from streamer.web.server_asked import PAGE_MOST as SERVER_PAGE_MOST

COST_MOST = 20_000
"""About one for each value that is told: a hundred milliseconds."""

DEPTH_MOST = 10

_LIMITS = {"flow_run": PAGE_SIZE, "flow": PAGE_SIZE, "deployment": PAGE_SIZE, "flow_runs": PAGE_SIZE}
_LIMITS |= {"logs": SERVER_PAGE_MOST, "task_runs": SERVER_PAGE_MOST}
"""How many are told if the `limit` is left out."""

_LISTS_AT_THE_TOP = {"flow_run", "flow", "deployment"}
"""Elsewhere, it is the one that a run is of."""

_NUMBERS = {"transitions": 5, "heartbeats": 32, "__schema": 50, "__type": 50}
"""How many are told, about, where nobody can say how many he wants."""

_SEARCH = 20
_WEIGHTS = {"logs": 400, "task_runs": 400, "transitions": 10}
_WEIGHTS |= dict.fromkeys(("flow_runs", "flow_run_aggregate", "flow_runs_aggregate"), _SEARCH)
"""What it costs to look up, whatever is found; `logs` and `task_runs` are requests to the Prefect server."""


class Limits(SchemaExtension):
    """Refuses what would cost too much, or is too deep."""

    @override
    def on_execute(self) -> Iterator[None]:
        context = self.execution_context
        assert context.graphql_document
        if operation := get_operation_ast(context.graphql_document, context.operation_name):
            fragments = {
                each.name.value: each.selection_set
                for each in context.graphql_document.definitions
                if isinstance(each, FragmentDefinitionNode)
            }
            reckoning = _Reckoning(fragments, {**_defaults(operation), **(context.variables or {})})
            if error := _refusal(reckoning.of(operation.selection_set, at_the_top=True)):
                context.result = ExecutionResult(data=None, errors=[error])
        yield


class _Extent(NamedTuple):
    cost: int
    depth: int


def _refusal(extent: _Extent) -> GraphQLError | None:
    if extent.depth > DEPTH_MOST:
        hint = "ask for what lies deeper by its id"
        return GraphQLError(
            f"this is {extent.depth} levels deep, and {DEPTH_MOST} is the most", extensions={"hint": hint}
        )
    if extent.cost > COST_MOST:
        hint = "ask for fewer at once, with `limit`, or for less of each"
        return GraphQLError(f"this costs {extent.cost}, and {COST_MOST} is the most", extensions={"hint": hint})
    return None


def _defaults(operation: OperationDefinitionNode) -> dict[str, Any]:
    variables = operation.variable_definitions or ()
    return {
        each.variable.name.value: value_from_ast_untyped(each.default_value) for each in variables if each.default_value
    }


@dataclass(frozen=True, slots=True)
class _Reckoning:
    """A document that is valid, so that it has no circles; a fragment is reckoned once, however often it is spread."""

    fragments: Mapping[str, SelectionSetNode]
    variables: Mapping[str, Any]
    known: dict[tuple[str, bool], _Extent] = field(default_factory=dict)

    def of(self, asked: SelectionSetNode, *, at_the_top: bool = False) -> _Extent:
        extents = [self._of(each, at_the_top=at_the_top) for each in asked.selections]
        return _Extent(sum(each.cost for each in extents), max(each.depth for each in extents))

    def _of(self, asked: Any, *, at_the_top: bool) -> _Extent:
        if isinstance(asked, FragmentSpreadNode):
            return self._of_fragment(asked.name.value, at_the_top=at_the_top)
        if isinstance(asked, FieldNode):
            return self._of_field(asked, at_the_top=at_the_top)
        return self.of(asked.selection_set, at_the_top=at_the_top)

    def _of_fragment(self, name: str, *, at_the_top: bool) -> _Extent:
        if (name, at_the_top) not in self.known:
            self.known[name, at_the_top] = self.of(self.fragments[name], at_the_top=at_the_top)
        return self.known[name, at_the_top]

    def _of_field(self, asked: FieldNode, *, at_the_top: bool) -> _Extent:
        if asked.selection_set is None:
            return _Extent(1, 0)
        name, within = asked.name.value, self.of(asked.selection_set)
        is_search = at_the_top and name in _LISTS_AT_THE_TOP
        number = self._limit(asked) if is_search or name not in _LISTS_AT_THE_TOP else 1
        weight = _SEARCH if is_search else _WEIGHTS.get(name, 0)
        depth = 0 if name.startswith("__") else within.depth + 1  # the schema is asked for deep, and is small
        return _Extent(weight + number * (1 + within.cost), depth)

    def _limit(self, asked: FieldNode) -> int:
        """Return how many are asked for, at the most; what is no number will be refused by who is asked."""
        name = asked.name.value
        for each in asked.arguments or ():
            if each.name.value == "limit":
                limit = value_from_ast_untyped(each.value, dict(self.variables))
                return max(int(limit), 0) if isinstance(limit, int | float) else PAGE_MOST
        return _LIMITS.get(name) or _NUMBERS.get(name, 1)
