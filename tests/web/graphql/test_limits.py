"""What may not be asked, and what is said then."""

import asyncio
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
from graphql import get_introspection_query
from starlette.applications import Starlette

from streamer.errors import ConnectionLost, StoreError
from streamer.model import Record, RunState
from streamer.questions import Count, Page, Summary
from streamer.search import Condition, Kind, Search
from streamer.web.graphql import route as routes
from streamer.web.graphql.answering import Answering
from streamer.web.problems import HANDLERS
from tests.client.world import World, ident
from tests.web.asking import problem
from tests.web.graphql.conftest import Ask

NOBODY = UUID(ident("nobody"))


def nested(depth: int) -> str:
    return "{_not: " * depth + '{name: {_eq: "a"}}' + "}" * depth


REFUSED = [
    ("{name: {_eq: null}}", "name: null compares with nothing: leave it out, or ask with _is_null"),
    ("{flow: null}", "where: null compares with nothing"),
    ('{start_time: {_gt: "2026-11-21T12:00:00"}}', "start_time: 2026-11-21T12:00:00 has no zone: write 2026-11-21T12"),
    ('{start_time: {_gt: "today"}}', 'Value cannot represent a DateTime: "today"'),
    ('{id: {_eq: "etl"}}', 'Value cannot represent a UUID: "etl"'),
    ("{state: {_eq: Success}}", "Value 'Success' does not exist in 'state_type' enum"),
    ('{nmae: {_eq: "a"}}', "Did you mean 'name'?"),
    (f'{{name: {{_eq: "{"a" * 1_001}"}}}}', "name: a text has 1001 characters, and 1000 is the most"),
    ('{name: {_like: "a\\u0000"}}', "name: no text has a NUL"),
    ('{name: {_like: "a\\\\\\\\\\\\"}}', "name: a pattern ends in"),
    (nested(21), "where: conditions are nested more than 20 deep"),
]


@pytest.mark.parametrize(("where", "why"), REFUSED)
def test_a_condition_that_cannot_be_met_is_refused_with_a_sentence(refusal: Ask, where: str, why: str) -> None:
    assert why in refusal(f"{{ flow_run(where: {where}) {{ id }} }}")


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("{ flow_run(limit: 0) { id } }", "limit: 0 is not between 1 and 1000"),
        ("{ flow_run(limit: 1001) { id } }", "limit: 1001 is not between 1 and 1000"),
        ("{ flow_run(offset: 10001) { id } }", "offset: 10001 is not between 0 and 10000"),
        ("{ flow_run(limit: 1) { logs(limit: 201) { id } } }", "limit: 201 is not between 1 and 200"),
        ("{ flow_run(order_by: {created: asc, start_time: asc}) { id } }", "exactly one"),
        ("mutation { retry }", "The mutation operation is not supported by the schema"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_a_sentence(refusal: Ask, query: str, why: str) -> None:
    assert why in refusal(query)


def test_a_condition_may_be_large_but_not_as_large_as_one_likes(ask: Ask, refusal: Ask) -> None:
    query = "query ($where: flow_run_bool_exp) { flow_run(where: $where) { id } }"
    names = [f"run {number}" for number in range(1_000)]
    assert ask(query, where={"name": {"_in": names}}) == {"flow_run": []}
    assert "name: these are 1001 values, and 1000 is the most" in refusal(query, where={"name": {"_in": [*names, "a"]}})
    conditions = [{"name": {"_eq": name}} for name in names]
    assert ask(query, where={"_or": conditions[:90]}) == {"flow_run": []}
    assert "comparisons, and 200 is the most: try _in" in refusal(query, where={"_or": conditions})
    deep: dict[str, Any] = {"name": {"_eq": "a"}}
    for way in ("_not", "_and", "_or") * 6:
        deep = {way: deep if way == "_not" else [deep]}
    assert len(ask(query, where=deep)["flow_run"]) in (0, 8)


COSTLY = [
    ("{ flow_run(limit: 1000) { logs(limit: 10) { id } } }", "this costs 421020, and 20000 is the most"),
    ("{ flow { flow_runs(limit: 1000) { id } } }", "and 20000 is the most"),
    ("{ flow_run(limit: 1000) { " + " ".join(f"a{n}: name" for n in range(50)) + " } }", "this costs 51020"),
    ("{ __schema { " + " ".join(f"a{n}: types {{ name }}" for n in range(300)) + " } }", "this costs 30050"),
    (
        "{ flow_run(limit: 1) { ...f0 } } "
        + " ".join(f"fragment f{n} on flow_run {{ ...f{n + 1} ...f{n + 1} }}" for n in range(60))
        + " fragment f60 on flow_run { id }",
        "this costs 1152921504606846997",
    ),
]


@pytest.mark.parametrize(("query", "why"), COSTLY)
def test_what_would_cost_too_much_is_refused_at_once(refusal: Ask, query: str, why: str) -> None:
    begun = time.monotonic()
    assert why in refusal(query)
    assert time.monotonic() - begun < 2


def test_what_is_deep_or_long_is_refused(refusal: Ask) -> None:
    deep = "{ flow(limit: 1) " + "{ latest_run { flow " * 6 + "{ name }" + " } }" * 6 + " }"
    assert "this is 13 levels deep, and 10 is the most" in refusal(deep)
    assert "more than 2000 tokens" in refusal(f"{{ {' '.join(f'a{n}: __typename' for n in range(1000))} }}")


def test_the_cost_counts_fragments_variables_and_whatever_is_taken_for_a_number(refusal: Ask, ask: Ask) -> None:
    whole = """
        query ($many: Int = 900) { a: flow_run(limit: $many) { ...w } ... on Query { b: flow_run(limit: 1) { id } } }
        fragment w on flow_run { logs(limit: 1) { ... { message } } }
    """
    costs = "this costs 362742"
    assert costs in refusal(whole)
    assert costs in refusal(whole, many=900.0)
    assert ask(whole, many=1)["b"]
    assert "Int cannot represent" in refusal("query ($many: Int!) { flow_run(limit: $many) { id } }", many="all")


def test_tools_may_ask_for_the_whole_schema(ask: Ask) -> None:
    assert ask(get_introspection_query())["__schema"]["types"]


def test_circles_are_refused(post: Ask) -> None:
    said = post("{ flow_run { ...a } } fragment a on flow_run { flow { flow_runs { ...a } } }")
    assert "Cannot spread fragment 'a' within itself." in [each["message"] for each in said["errors"]]


JSON = {"Content-Type": "application/json"}
HINT = 'send {"query": "…", "variables": {…}} as application/json'


@pytest.mark.parametrize(
    ("status", "body", "headers", "hint"),
    [
        (400, b"nonsense", JSON, HINT),
        (400, b'"x"', JSON, HINT),
        (400, b"null", JSON, HINT),
        (400, b"[]", JSON, HINT),
        (400, b'{"query": "\xff"}', JSON, HINT),
        (400, b'{"query": "{ flow_run { id } }", "variables": {"a": "\\ud800"}}', JSON, HINT),
        (400, b'{"query": NaN}', JSON, HINT),
        (400, b"[" * 100_000, JSON, HINT),
        (400, b"{}", JSON, HINT),
        (400, b"{ flow_run { id } }", {"Content-Type": "text/plain"}, HINT),
        (413, b'{"query": "' + b" " * 256_000 + b'"}', JSON, "ask several, each for less"),
    ],
)
def test_what_is_no_question_is_a_problem_with_a_hint(
    world: World, status: int, body: bytes, headers: dict[str, str], hint: str
) -> None:
    answer = httpx.post(f"{world.service}/graphql", content=body, headers=headers, trust_env=False)
    assert answer.status_code == status
    assert problem(answer).get("hint") == hint


def test_a_web_page_is_not_served_there(world: World) -> None:
    answer = httpx.get(f"{world.service}/graphql", headers={"Accept": "text/html"}, trust_env=False)
    assert (answer.status_code, problem(answer)["hint"]) == (400, "GET /graphql?query=…, or POST")


class Nobody:
    """Answers nothing, but raises; `waits` for ever first if so asked."""

    def __init__(self, error: Exception, *, waits: bool = False) -> None:
        self.error = error
        self.waits = waits

    async def search(self, search: Search) -> Page:
        if self.waits:
            await asyncio.Event().wait()
        raise self.error

    async def count_where(self, where: Condition) -> Count:
        raise self.error

    async def parties(self, kind: Kind, where: Condition) -> Sequence[Summary]:
        raise self.error

    async def summaries(self, kind: Kind, ids: Sequence[str]) -> Sequence[Summary]:
        raise self.error

    async def histories(self, runs: Sequence[UUID]) -> Mapping[UUID, Sequence[Record]]:
        raise self.error

    async def run(self, run: UUID) -> RunState | None:
        return RunState(run, "default")

    async def history(self, run: UUID) -> Sequence[Record]:
        return []

    async def logs(self, run: UUID, *, offset: int, limit: int) -> Sequence[Any]:
        raise self.error

    async def task_runs(self, run: UUID, *, offset: int, limit: int) -> Sequence[Any]:
        raise self.error


async def asked_of(nobody: Any, query: str) -> httpx.Response:
    names: Mapping[str, str] = {}
    answering = Answering(nobody, nobody, nobody, lambda: names, {}, lambda: datetime.now(UTC))
    transport = httpx.ASGITransport(Starlette(routes=[routes.route(answering)], exception_handlers=HANDLERS))
    async with httpx.AsyncClient(transport=transport, base_url="http://streamer") as client:
        return await client.post("/graphql", json={"query": query})


async def test_a_fault_of_ours_is_logged_and_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    said = (await asked_of(Nobody(RuntimeError("a secret")), "{ flow_run { id } }")).json()
    assert [each["message"] for each in said["errors"]] == ["this is a fault of the service: its log has more"]
    assert "a secret" in capsys.readouterr().out


async def test_what_the_store_or_the_server_says_is_told_with_its_hint(capsys: pytest.CaptureFixture[str]) -> None:
    said = (await asked_of(Nobody(StoreError("too long", "ask for less")), "{ flow_run { id } }")).json()
    (error,) = said["errors"]
    assert (error["message"], error["extensions"]["hint"]) == ("too long", "ask for less")
    query = f'{{ flow_run_by_pk(id: "{NOBODY}") {{ id logs {{ id }} }} }}'
    said = (await asked_of(Nobody(ConnectionLost("refused")), query)).json()
    (error,) = said["errors"]
    assert error["message"] == "the Prefect server cannot be asked: refused"
    assert error["path"] == ["flow_run_by_pk", "logs"]
    assert said["data"]["flow_run_by_pk"] == {"id": str(NOBODY), "logs": None}, "the rest is told all the same"
    assert capsys.readouterr().out == ""


async def test_a_question_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "SECONDS", 0.5)
    answer = await asked_of(Nobody(RuntimeError(), waits=True), "{ flow_run { id } }")
    assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
    assert problem(answer)["detail"] == "the answer was not found within 0.5 s"


async def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "streamer.web.graphql.app", raising=False)
    monkeypatch.setitem(sys.modules, "strawberry.asgi", None)
    answer = await asked_of(Nobody(RuntimeError()), "{ flow_run { id } }")
    assert answer.status_code == httpx.codes.NOT_IMPLEMENTED
    assert problem(answer)["hint"] == "pip install 'prefect-streamer[graphql]' where the service runs"
