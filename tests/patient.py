"""HTTP in tests on real servers: past every proxy, and with patience, for a busy machine's disk keeps answers back."""

from typing import Any

import httpx

SECONDS = 60.0
"""Twelve times httpx's own: more than 5 was seen."""


def get(url: str, **asked: Any) -> httpx.Response:
    """Ask."""
    return httpx.get(url, trust_env=False, timeout=SECONDS, **asked)


def post(url: str, **asked: Any) -> httpx.Response:
    """Post."""
    return httpx.post(url, trust_env=False, timeout=SECONDS, **asked)


def client(**options: Any) -> httpx.Client:
    """Return a client, to be closed."""
    return httpx.Client(trust_env=False, timeout=SECONDS, **options)


def async_client(**options: Any) -> httpx.AsyncClient:
    """Return a client, to be closed."""
    return httpx.AsyncClient(trust_env=False, timeout=SECONDS, **options)
