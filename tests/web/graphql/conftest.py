"""A world that is there for all tests of GraphQL, and who asks."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.client.conftest import portal, world
from tests.client.world import World

__all__ = ["portal", "world"]

Ask = Callable[..., Any]


@pytest.fixture
def post(world: World) -> Ask:
    """Return what asks the service, and returns all that it answers."""

    def post(query: str, **variables: Any) -> Any:
        answer = httpx.post(f"{world.service}/graphql", json={"query": query, "variables": variables}, trust_env=False)
        assert answer.status_code == httpx.codes.OK, answer.text
        return answer.json()

    return post


@pytest.fixture
def ask(post: Ask) -> Ask:
    """Return what asks the service, and returns the data."""

    def ask(query: str, **variables: Any) -> Any:
        answer = post(query, **variables)
        assert "errors" not in answer, answer
        return answer["data"]

    return ask


@pytest.fixture
def refusal(post: Ask) -> Ask:
    """Return what asks the service for what it refuses, and returns why it does."""

    def refusal(query: str, **variables: Any) -> str:
        (error,) = post(query, **variables)["errors"]
        return " ".join(filter(None, [error["message"], error.get("extensions", {}).get("hint")]))

    return refusal
