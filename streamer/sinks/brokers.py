"""What sinks to message brokers share: how a spec says where the broker is, and what a record is about in few words."""

from typing import Any
from urllib.parse import SplitResult, unquote

from schemas import Transition, Verdict
from streamer.errors import ConfigError
from streamer.model import Record


def login_in(url: SplitResult) -> dict[str, Any]:
    """Return user and password of a spec's URL, as far as it has them."""
    found = {"username": url.username, "password": url.password}
    return {name: unquote(value) for name, value in found.items() if value}


def server_in(url: SplitResult) -> dict[str, Any]:
    """Return host, port, user and password of a spec's URL, as far as it has them."""
    try:
        found = {"host": url.hostname, "port": url.port}
    except ValueError as error:
        raise ConfigError(
            f"the port of a {url.scheme} sink is no number", hint=f"{url.scheme}://host:1234/…"
        ) from error
    return {name: value for name, value in found.items() if value is not None} | login_in(url)


def servers_in(url: SplitResult) -> str | None:
    """Return the part of a spec's URL that names one or more servers, without user and password."""
    return url.netloc.rpartition("@")[2] or None


def topic_of(record: Record) -> str:
    """Return what a record is about: `flow_run.completed`, `verdict.zombie`, and else the kind of the record alone."""
    match record.event:
        case Transition() as transition:
            return f"flow_run.{transition.to_type.lower()}"
        case Verdict() as verdict:
            return f"verdict.{verdict.ruling.status}"
    return record.event.kind.value
