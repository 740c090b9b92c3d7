"""What tests of several rooms use, and on which store they run."""

import signal
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.services.postgres_server import PostgresServer
from tests.stores import Postgres


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let processes hear of Ctrl-C, also where a shell has started the tests in the background, which ignores it."""
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, usual)


@pytest.fixture(scope="session", autouse=True)
def on_postgres(request: pytest.FixtureRequest) -> Iterator[None]:
    """Have a PostgreSQL for the tests' stores, if they are to run on one."""
    if not request.config.getoption("on_postgres"):
        yield
        return
    with TemporaryDirectory() as folder, PostgresServer(Path(folder), fsync=False) as server:
        Postgres.url = server.url
        yield


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let tests of the store be run on another."""
    parser.addoption("--on-postgres", action="store_true", help="run what is marked `either_store` on PostgreSQL")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Choose those for PostgreSQL if so told; give tests on real servers a second go: busy machines fail them once."""
    for item in items:
        if item.get_closest_marker("end_to_end") or item.get_closest_marker("services"):
            item.add_marker(pytest.mark.flaky(reruns=1))
    if config.getoption("on_postgres"):
        items[:] = [item for item in items if _runs_on_postgres(item)]


def _runs_on_postgres(item: pytest.Item) -> bool:
    return item.get_closest_marker("either_store") is not None and item.get_closest_marker("sqlite") is None
