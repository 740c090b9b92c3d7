"""Who answers a question of GraphQL."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from streamer.search import Searching
from streamer.web.runs import RunStore
from streamer.web.server_asked import RunServer


@dataclass(frozen=True, slots=True)
class Answering:
    """Who answers: `names` are those that are known by id, `pages` where Prefect's are."""

    searching: Searching
    store: RunStore
    server: RunServer
    names: Callable[[], Mapping[str, str]]
    pages: Mapping[str, str]
    now: Callable[[], datetime]
