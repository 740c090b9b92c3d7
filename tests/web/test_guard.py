"""Who is let in, asked of a whole service and its own commands."""

from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from streamer import config, operating
from streamer.service import Service
from streamer.testing import FakePrefect
from tests.place import Place

TOKEN = "token-of-the-operators"
PASSWORD = "hunter2:ünlikely"
ACCESS = {"token": TOKEN, "username": "ops", "password": PASSWORD}
ORIGIN = "https://pages.example"
GUARDED = ("/", "/metrics", "/readyz", "/api/runs", "/api/openapi.json", "/api/sinks", "/nothing")


def bearer(token: str, scheme: str = "Bearer") -> dict[bytes, bytes]:
    return {b"Authorization": f"{scheme} {token}".strip().encode()}


def basic(name: str, password: str) -> dict[bytes, bytes]:
    return bearer(b64encode(f"{name}:{password}".encode()).decode(), "Basic")


WRONG: dict[str, dict[bytes, bytes]] = {
    "nothing": {},
    "empty": {b"Authorization": b""},
    "no token": bearer(""),
    "another token": bearer("wrong"),
    "the beginning of the token": bearer(TOKEN[:-1]),
    "a token that is not ASCII": bearer("tökén"),
    "the token without a word": {b"Authorization": TOKEN.encode()},
    "the token as basic": bearer(TOKEN, "Basic"),
    "another password": basic("ops", "wrong"),
    "another name": basic("op", PASSWORD),
    "basic as bearer": bearer(b64encode(f"ops:{PASSWORD}".encode()).decode()),
    "no base64": bearer("%%%", "Basic"),
}


@asynccontextmanager
async def asking(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=await service.started(), trust_env=False) as http:
        yield http


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with FakePrefect() as server:
        yield Place(tmp_path, server)


async def test_who_proves_nothing_is_told_how_and_sees_only_that_it_lives(place: Place) -> None:
    async with place.running(access=ACCESS) as service, asking(service) as http:
        assert (await http.get("/livez")).status_code == 200
        for path in GUARDED:
            answer = await http.get(path)
            assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json"), path
            assert answer.headers["www-authenticate"] == (
                'Basic realm="streamer", charset="UTF-8", Bearer realm="streamer"'
            )
            assert (answer.json()["status"], answer.json()["title"]) == (401, "Unauthorized")


async def test_wrong_proofs_are_none(place: Place) -> None:
    async with place.running(access=ACCESS) as service, asking(service) as http:
        found = {said: (await http.get("/api/runs", headers=headers)).status_code for said, headers in WRONG.items()}
    assert found == dict.fromkeys(WRONG, 401)


async def test_token_password_and_the_stores_token_let_in(place: Place) -> None:
    async with place.running(access=ACCESS) as service, asking(service) as http:
        proofs = (bearer(TOKEN), bearer(TOKEN, "bearer"), basic("ops", PASSWORD), bearer(service.core.store.token))
        for proof in proofs:
            assert [(await http.get(path, headers=proof)).status_code for path in GUARDED] == [200] * 6 + [404]


async def test_a_token_alone_asks_browsers_for_no_password(place: Place) -> None:
    async with place.running(access={"token": TOKEN}) as service, asking(service) as http:
        assert (await http.get("/")).headers["www-authenticate"] == 'Bearer realm="streamer"'
        assert (await http.get("/", headers=basic("None", ""))).status_code == 401


async def test_a_rotated_token_is_seen_and_one_that_is_gone_lets_nobody_in(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first")
    async with place.running(access={"token_file": str(file)}) as service, asking(service) as http:
        assert (await http.get("/api/runs", headers=bearer("first"))).status_code == 200
        file.write_text("second\n")
        found = [(await http.get("/api/runs", headers=bearer(each))).status_code for each in ("first", "second")]
        assert found == [401, 200]
        file.unlink()
        assert (await http.get("/api/runs", headers=bearer("second"))).status_code == 401
        assert (await http.get("/api/runs", headers=bearer(""))).status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"), [({}, 401), (basic("ops", PASSWORD), 403), (bearer("wrong"), 401), (bearer(TOKEN), 200)]
)
async def test_commands_want_a_token(place: Place, headers: dict[bytes, bytes], status: int) -> None:
    async with place.running(access=ACCESS) as service, asking(service) as http:
        answer = await http.post("/api/control/quarantine/retry", json={"keys": []}, headers=headers)
        assert answer.status_code == status


async def test_our_own_commands_work_with_the_stores_token(place: Place) -> None:
    settings = config.only(**{**place.settings, "access": ACCESS})
    async with place.running(access=ACCESS):
        assert [each["state"] for each in await operating.listed_sinks(settings)] == ["up"]
        assert await operating.act(settings, "quarantine/retry", keys=[]) == {"retried": 0, "accepted": 0}


async def test_pages_of_other_origins_may_not_ask_unless_they_are_named(place: Place) -> None:
    preflight = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}
    preflight |= {"Access-Control-Request-Headers": "authorization"}
    async with place.running() as service, asking(service) as http:
        answers = [await http.options("/api/runs", headers=preflight), await http.get("/api/runs", headers=preflight)]
        assert [each.headers.get("access-control-allow-origin") for each in answers] == [None, None]


async def test_a_named_origin_may_ask_but_command_nothing(place: Place) -> None:
    preflight = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}
    preflight |= {"Access-Control-Request-Headers": "authorization"}
    async with place.running(access={**ACCESS, "cors": [ORIGIN]}) as service, asking(service) as http:
        allowed = await http.options("/api/runs", headers=preflight)
        assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, ORIGIN)
        commanded = {**preflight, "Access-Control-Request-Method": "POST"}
        assert (await http.options("/api/control/sinks/test", headers=commanded)).status_code == 400
        assert (await http.options("/api/runs", headers={**preflight, "Origin": "https://other"})).status_code == 400
        refused = await http.get("/api/runs", headers={"Origin": ORIGIN})
        assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, ORIGIN)


@pytest.mark.parametrize(
    ("changes", "warnings"),
    [({}, 0), ({"listen": "0.0.0.0:0"}, 1), ({"listen": "0.0.0.0:0", "access": {"token": TOKEN}}, 0)],
)
async def test_it_is_said_when_everybody_may_ask(place: Place, changes: dict[str, Any], warnings: int) -> None:
    with capture_logs() as logs:
        async with place.running(**changes):
            pass
    assert len([each for each in logs if "whoever reaches this address" in each["event"]]) == warnings
    assert TOKEN not in str(logs)
