"""The live page's document and files."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
from starlette.applications import Starlette

from streamer.web import pages
from streamer.web.standing import Level, StandingView, standing
from tests.web.test_standing import WELL

EVIL = "<script>alert(1)</script>"
FILES = sorted(each.name for each in (pages.HERE / "static").iterdir())
SCRIPTS = [name for name in FILES if name.endswith(".js")]


class Told:
    """How things stand, to be changed by the test."""

    def __init__(self) -> None:
        self.standing = standing(WELL)

    async def ask(self) -> StandingView:
        return self.standing


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
async def http(told: Told) -> AsyncIterator[httpx.AsyncClient]:
    app = Starlette(routes=pages.routes(told.ask))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://streamer") as client:
        yield client


async def test_it_says_how_things_stand_before_its_script_does(http: httpx.AsyncClient, told: Told) -> None:
    assert ">All is well: connected and caught up" in (await http.get("/")).text
    told.standing = replace(told.standing, level=Level.WRONG, sentence="Not all is well: gone.")
    page = (await http.get("/")).text
    assert 'data-level="wrong">Not all is well: gone.<' in page


async def test_what_others_say_is_text(http: httpx.AsyncClient, told: Told) -> None:
    told.standing = replace(told.standing, sentence=EVIL)
    page = (await http.get("/")).text
    assert EVIL not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


@pytest.mark.parametrize("address", ["/", "/runs/some-id", "/deployments/some-id", "/dead-letters?sink=a%2Fb"])
async def test_each_view_has_an_address_and_all_it_needs_is_found_from_there(
    http: httpx.AsyncClient, address: str
) -> None:
    answer = await http.get(address)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    needed = re.findall(r'(?:src|href)="([^"#]*static/[^"]+)"', answer.text)
    assert len(needed) == 4
    for each in needed:
        assert not each.startswith("/"), "a proxy may serve it below any path"
        assert (await http.get(str(answer.url.join(each)))).status_code == 200


@pytest.mark.parametrize("path", ["/", "/static/page.js"])
async def test_nothing_runs_but_its_own_script_and_nobody_else_is_asked(http: httpx.AsyncClient, path: str) -> None:
    headers = (await http.get(path)).headers
    policy = dict(each.split(" ", 1) for each in headers["content-security-policy"].split("; "))
    assert policy.pop("default-src") == "'none'"
    assert {policy[each] for each in ("script-src", "style-src", "connect-src")} == {"'self'"}
    assert {policy[each] for each in ("base-uri", "form-action", "frame-ancestors", "trusted-types")} == {"'none'"}
    assert policy["require-trusted-types-for"] == "'script'"
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
    assert headers["cache-control"] == "no-cache"
    assert "set-cookie" not in headers


async def test_a_file_that_is_the_same_is_not_sent_again(http: httpx.AsyncClient) -> None:
    first = await http.get("/static/page.js")
    again = await http.get("/static/page.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["/static/", "/static/nothing.js", "/static/../pages.py", "/static/%2e%2e/pages.py"])
async def test_there_are_no_other_files(http: httpx.AsyncClient, path: str) -> None:
    assert (await http.get(path)).status_code == 404


def source(name: str) -> str:
    return (pages.HERE / "static" / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_makes_no_markup_and_knows_no_other_host(name: str) -> None:
    text = source(name)
    forbidden = "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "https://"
    assert [each for each in forbidden if each in text] == []
    assert set(re.findall(r"http://[^\"]*", text)) <= {"http://www.w3.org/2000/svg"}


@pytest.mark.parametrize("name", SCRIPTS)
def test_what_a_script_imports_is_there_and_is_used(name: str) -> None:
    text = source(name)
    for names, module in re.findall(r'^import {([^}]+)} from "\./([^"]+)";$', text, re.MULTILINE):
        exported = re.findall(r"^export (?:async )?(?:function|const|class) (\w+)", source(module), re.MULTILINE)
        for each in (part.strip() for part in names.split(",")):
            assert each in exported, f"{module} exports no {each}"
            assert len(re.findall(rf"\b{each}\b", text)) > 1, f"{each} is not used"


def test_every_file_is_needed() -> None:
    entry = {"page.js", "theme.css", "page.css", "icon.svg"}
    imported = {module for name in FILES for module in re.findall(r'["(]\.?/?"?([\w]+\.(?:js|css))"', source(name))}
    assert set(FILES) == entry | imported
