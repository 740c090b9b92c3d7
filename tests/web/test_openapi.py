"""`/api/openapi.json`: complete, and true of a service that runs."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import orjson
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, assume, given, settings
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # ships no types
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks
from starlette.routing import Route

from schemas.errors import InvalidEvent, Reason
from streamer import answers
from streamer.alert_list import ListedAlert, ListedRun
from streamer.model import Frame, Net
from streamer.run_server import RunServer
from streamer.run_view import as_json
from streamer.service import Service
from streamer.showing import Showing
from streamer.sink_list import ListedSink
from streamer.store.dead_letters import DeadLetter
from streamer.store.quarantine import Refused
from streamer.testing import FakePrefect, an_event
from streamer.told import told_by
from streamer.web import openapi, operations, stream
from tests.place import Place

HELD_TO = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.unsupported_method,
    checks.allow_header_conformance,
]
"""All but that what fits the document is accepted: of a cursor or a time it cannot say everything."""

LONGEST = 50_000
"""What is much longer is refused before it comes to us."""

ROOT = Path(__file__).parent.parent.parent

SINK = "https://host/hook?tenant=a b"


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    """Return a service that has a run with two states, a dead letter, and a frame in quarantine."""
    async with FakePrefect() as server:
        place = Place(tmp_path, server)
        async with place.running() as running:
            run = an_event()
            server.publish(run, an_event(run=run["resource"]["prefect.resource.id"][-36:], after="FAILED"))
            await place.has(*server.events)
            store = running.core.store
            await store.bury(SINK, (await store.after(0, 1))[0], "no")
            await store.quarantine(Frame("default", Net.LIVE, b"{}"), InvalidEvent(Reason.SCHEMA, "unheard of"))
            server.tables.logs = [a_line(run) for run in server.tables.runs]
            server.tables.task_runs = [a_task_run(run) for run in server.tables.runs]
            server.tables.artifacts = [an_artifact(run) for run in server.tables.runs]
            yield running


def a_line(run: str) -> dict[str, Any]:
    at = "2026-11-21T12:00:00Z"
    line = {"level": 20, "message": "hello", "name": "prefect.flow_runs", "timestamp": at}
    return {"id": str(uuid4()), "created": at, "updated": at, "flow_run_id": run, "task_run_id": None, **line}


def an_artifact(run: str) -> dict[str, Any]:
    times = dict.fromkeys(("created", "updated"), "2026-11-21T12:00:00Z")
    return {"id": str(uuid4()), "flow_run_id": run, "task_run_id": None, "key": "rows", "data": "[3]", **times}


def a_task_run(run: str) -> dict[str, Any]:
    state = {"id": str(uuid4()), "type": "COMPLETED", "name": "Completed", "timestamp": "2026-11-21T12:00:00Z"}
    named = {"name": "step-0", "task_key": "step-1a2b", "dynamic_key": "0", "tags": ["prod"]}
    return {"id": str(uuid4()), "flow_run_id": run, "state": state, "total_run_time": 1.5, **named}


async def asked(service: Service, path: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=await service.started(), trust_env=False) as http:
        return await http.get(path)


@pytest.mark.filterwarnings("ignore:Do not use the `random` module")  # the service does, beside hypothesis
async def test_answers_are_as_documented_whatever_is_asked(service: Service) -> None:
    (run,) = await service.core.store.find_runs()
    (letter,) = await service.core.store.buried()
    schema = schemathesis.openapi.from_dict((await asked(service, openapi.PATH)).json())
    there = {"id": str(run.id), "sink": SINK, "seq": letter.seq}
    address = await service.started()

    def hold(operation: Any, session: requests.Session) -> None:
        ask(operation, session, GenerationMode.POSITIVE)
        if operation.definition.raw["parameters"]:
            ask(operation, session, GenerationMode.NEGATIVE)
        if path := {name: value for name, value in there.items() if f"{{{name}}}" in operation.path}:
            ask(operation, session, GenerationMode.POSITIVE, path)

    def ask(operation: Any, session: requests.Session, mode: GenerationMode, path: Any = None) -> None:
        parameters = operation.definition.raw["parameters"]
        is_plain = all(each["schema"].get("type") != "array" for each in parameters)  # a list of one looks like one
        more = [checks.negative_data_rejection] if is_plain else []

        @settings(
            max_examples=10,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(mode, path_parameters=path))
        def is_answered_as_documented(case: schemathesis.Case[Any]) -> None:
            assume(len(quote(str(case.query))) < LONGEST)
            case.call_and_validate(base_url=address, session=session, checks=[*HELD_TO, *more])

        is_answered_as_documented()

    def hold_all() -> None:
        with requests.Session() as session:
            session.trust_env = False
            for found in schema.get_all_operations():
                assert isinstance(found, Ok)
                hold(found.ok(), session)

    await asyncio.to_thread(hold_all)


async def test_all_questions_are_documented_and_no_others(service: Service) -> None:
    documented = (await asked(service, openapi.PATH)).json()["paths"]
    there = {path for path, operations in documented.items() if "get" in operations}
    showing = await Showing.open(service.core, told_by(service.core))
    routes = {re.sub(r":\w+}", "}", each.path) for each in questions_of(service, showing)}
    assert there == routes - {openapi.PATH, stream.PATH}


def questions_of(service: Service, showing: Showing) -> Iterator[Route]:
    """Yield the routes below `/api` that the service answers a GET at."""
    server = RunServer(service.core.settings, service.core.store.run, service.core.instruments)
    for each in answers.app_of(service.core, told_by(service.core), server, showing).routes:
        if isinstance(each, Route) and each.path.startswith("/api") and "GET" in (each.methods or ()):
            yield each


async def test_the_page_has_all_that_is_documented(service: Service) -> None:
    section = (ROOT / "docs" / "http.md").read_text(encoding="utf-8")
    documented = (await asked(service, openapi.PATH)).json()["paths"]
    shown = {path.partition("?")[0] for row in section.splitlines() for path in re.findall(r"`(/api/[^`]+)`", row)}
    assert shown == {*documented, openapi.PATH, stream.PATH}


async def test_the_document_is_valid_and_all_it_refers_to_is_there(service: Service) -> None:
    document = (await asked(service, openapi.PATH)).json()
    schemas = document["components"]["schemas"]
    assert set(re.findall(r"#/components/schemas/([^\"]+)\"", str(document).replace("'", '"'))) == set(schemas)
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    assert document["openapi"].startswith("3.1")


async def test_what_the_document_names_as_a_runs_json_is_what_commands_print(service: Service) -> None:
    (run,) = await service.core.store.find_runs()
    document = (await asked(service, openapi.PATH)).json()
    shown = orjson.loads(orjson.dumps(as_json(run, {}), option=orjson.OPT_UTC_Z))
    assert list(document["components"]["schemas"]["RunView"]["properties"]) == list(shown)


@pytest.mark.parametrize(
    ("documented", "told"),
    [
        (operations.SinkView, ListedSink),
        (operations.LetterView, DeadLetter),
        (operations.RefusedView, Refused),
        (operations.AlertView, ListedAlert),
        (operations.AlertRunView, ListedRun),
    ],
)
def test_what_is_told_is_documented_and_nothing_else(documented: Any, told: Any) -> None:
    assert [each.name for each in fields(documented)] == [each.name for each in fields(told)]
