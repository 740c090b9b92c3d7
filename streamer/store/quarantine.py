"""Frames that the schemas refused: kept once, with the reason."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any
from uuid import UUID

import orjson
import zstandard

from schemas import InvalidEvent
from streamer.model import Frame, Net
from streamer.store import ledger
from streamer.store.engine import Connection
from streamer.store.ledger import Entry
from streamer.store.many import THESE, joined
from streamer.timestamps import from_micros, to_micros

KEPT_BYTES = 1024 * 1024
"""How much of a refused frame is kept."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A frame in quarantine, without its body; `key` is the event's id or a digest, in hex, and `size` in bytes."""

    key: str
    source: str
    net: str
    reason: str
    detail: str
    arrived: datetime
    size: int


def listed(connection: Connection, prefix: str = "") -> list[Refused]:
    """Return what is in quarantine, newest first: all, or what has a key that starts so."""
    rows = connection.execute(
        "SELECT lower(hex(key)), source, net, reason, detail, arrived, size FROM quarantine"
        " WHERE lower(hex(key)) LIKE ? || '%' ORDER BY arrived DESC",
        (prefix.replace("-", "").lower(),),
    )
    return [
        Refused(key, source, net, reason, detail, from_micros(arrived), size)
        for key, source, net, reason, detail, arrived, size in rows
    ]


def frame(connection: Connection, key: str) -> Frame | None:
    """Return a refused frame as it came, cut to a megabyte; None if it is not there any more."""
    query = "SELECT source, net, body FROM quarantine WHERE key = ?"
    row = connection.execute(query, (bytes.fromhex(key),)).fetchone()
    return Frame(row[0], Net(row[1]), zstandard.decompress(row[2])) if row else None


def keep(connection: Connection, frame: Frame, error: InvalidEvent, *, now: int) -> int:
    """Keep a frame; return 1 if it was not there. An event's id tells frames apart, as the bytes differ by net."""
    ident = _event_id(frame.data)
    key = ident.bytes if ident else blake2b(frame.data, digest_size=16).digest()
    body = zstandard.compress(frame.data[:KEPT_BYTES])
    row = (key, frame.source, frame.net, error.reason, error.detail, now, len(frame.data), body)
    query = "INSERT INTO quarantine VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
    return connection.execute(query, row).rowcount


def release(connection: Connection, ids: Iterable[UUID]) -> None:
    """Let go of refused frames that have come as valid events: their ids may enter the ledger again."""
    rows = connection.execute(f"DELETE FROM quarantine WHERE key IN {THESE} RETURNING key", joined(ids)).fetchall()
    if rows:
        ledger.release(connection, [UUID(bytes=key) for (key,) in rows])


def ledger_entry(data: bytes) -> Entry | None:
    """Return id, time and name of a refused event that has these, so that an audit knows we have seen it."""
    ident = _event_id(data)
    if ident is None:
        return None
    event = _event(data)
    try:
        return ident, to_micros(datetime.fromisoformat(event["occurred"])), str(event["event"])
    except (ValueError, KeyError, TypeError):
        return None


def _event_id(data: bytes) -> UUID | None:
    try:
        return UUID(_event(data)["id"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _event(data: bytes) -> Any:
    frame = orjson.loads(data)
    return frame["event"] if isinstance(frame.get("event"), dict) else frame
