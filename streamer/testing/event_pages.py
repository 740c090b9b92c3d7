"""The pages of `/events/filter` as Prefect cuts them: by offset, and with an address that is not to be trusted."""

import base64
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

PAGE_SIZE = 50

Json = dict[str, Any]


def page(events: Iterable[Json], wanted: Json, *, offset: int, limit: int) -> Json:
    """Return a page of the events that match; after one with a limit of 0 there is, as in Prefect, always a next."""
    newest_first = wanted.get("order", "DESC") == "DESC"
    found = sorted(_matching(events, wanted), key=lambda event: event["occurred"], reverse=newest_first)
    following = offset + limit
    more = following < len(found) or limit == 0
    return {
        "events": found[offset:following],
        "total": len(found),
        "next_page": address(wanted, following) if more else None,
    }


def address(wanted: Json, offset: int) -> str:
    """Return where the page from this offset is, on a host that is not ours."""
    token = base64.urlsafe_b64encode(orjson.dumps({"filter": wanted, "offset": offset})).decode()
    return f"http://elsewhere.invalid/api/events/filter/next?page-token={token}"


def place_of(token: str) -> tuple[Json, int]:
    """Return filter and offset that are in a page token."""
    read = orjson.loads(base64.urlsafe_b64decode(token))
    return read["filter"], read["offset"]


def _matching(events: Iterable[Json], wanted: Json) -> Iterator[Json]:
    names, occurred, ids = wanted.get("event", {}), wanted["occurred"], wanted.get("id", {}).get("id")
    about = wanted.get("resource", {}).get("id")
    for event in events:
        if (
            event["event"].startswith(tuple(names.get("prefix", [""])))
            and event["event"] not in names.get("exclude_name", ())
            and event["event"] in names.get("name", (event["event"],))
            and (about is None or event["resource"]["prefect.resource.id"] in about)
            and (ids is None or event["id"] in ids)
            and occurred["since"] <= event["occurred"] <= occurred["until"]
        ):
            yield event
