"""Many ids in one query: joined in a blob, and taken apart by their places in it."""

from collections.abc import Iterable
from uuid import UUID

import orjson

THESE = "(SELECT substr(?1, 16 * CAST(value AS INTEGER) + 1, 16) FROM json_each(?2))"
"""What stands after `IN` in a query whose first two parameters are `joined(…)`."""


def joined(ids: Iterable[UUID]) -> tuple[bytes, str]:
    """Return the parameters that `THESE` takes ids from."""
    blob = b"".join(each.bytes for each in ids)
    return blob, orjson.dumps(list(range(len(blob) // 16))).decode()
