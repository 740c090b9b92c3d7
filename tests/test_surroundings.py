"""Where Prefect's pages are: said, or as Prefect itself derives it from the API's address."""

import pytest

from streamer import config
from tests.frames import RUN
from tests.incidents import an_alert


@pytest.mark.parametrize(
    ("api_url", "page"),
    [
        ("http://127.0.0.1:4200/api", "http://127.0.0.1:4200"),
        ("https://example.com/prefect/api/", "https://example.com/prefect"),
        ("https://api.example.com", "https://api.example.com"),
        (
            "https://api.prefect.cloud/api/accounts/0a1b/workspaces/2c3d",
            "https://app.prefect.cloud/account/0a1b/workspace/2c3d",
        ),
    ],
)
def test_pages_are_found_from_the_apis_address(api_url: str, page: str) -> None:
    assert config.only(api_url=api_url).surroundings.link(an_alert()) == f"{page}/runs/flow-run/{RUN}"


def test_pages_may_be_elsewhere() -> None:
    link = config.only(ui_url="https://pages.example.com/").surroundings.link(an_alert())
    assert link == f"https://pages.example.com/runs/flow-run/{RUN}"


@pytest.mark.parametrize("wrong", ["pages.example.com", "http://", "https://a:x"])
def test_what_is_no_address_is_said(wrong: str) -> None:
    with pytest.raises(ValueError, match="it is no address"):
        config.only(ui_url=wrong)
