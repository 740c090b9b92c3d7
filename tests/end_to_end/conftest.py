"""Real Prefect servers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from streamer.demo.server import PrefectServer
from streamer.demo.truth import Truth
from tests.running import PREFECT_PYTHON


@pytest.fixture(scope="session")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """A server that wants no credentials."""
    settings = {"PREFECT_WORKER_QUERY_SECONDS": "1"}
    with PrefectServer(tmp_path_factory.mktemp("prefect"), settings, python=PREFECT_PYTHON) as server:
        yield server


@pytest.fixture
def truth(prefect: PrefectServer) -> Iterator[Truth]:
    """What that server says happened."""
    truth = Truth(prefect.api_url)
    yield truth
    truth.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A home for a service."""
    return tmp_path
