"""What tests of several rooms use."""

import signal
from collections.abc import Iterator

import pytest


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let processes hear of Ctrl-C, also where a shell has started the tests in the background, which ignores it."""
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, usual)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give tests on real servers a second go, reported as `R`: a busy machine fails them once, a fault twice."""
    for item in items:
        if item.get_closest_marker("end_to_end") or item.get_closest_marker("services"):
            item.add_marker(pytest.mark.flaky(reruns=1))
