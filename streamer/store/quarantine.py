"""Frames that the schemas refused: kept once, with the reason."""

import sqlite3
from datetime import datetime
from hashlib import blake2b
from typing import Any
from uuid import UUID

import orjson
import zstandard

from schemas import InvalidEvent
from streamer.model import Frame
from streamer.store.ledger import Entry
from streamer.timestamps import to_micros

KEPT_BYTES = 1024 * 1024
"""How much of a refused frame is kept."""


def keep(connection: sqlite3.Connection, frame: Frame, error: InvalidEvent, *, now: int) -> int:
    """Keep a frame; return 1 if it was not there. An event's id tells frames apart, as the bytes differ by net."""
    key = _event_id(frame.data) or blake2b(frame.data, digest_size=16).digest()
    body = zstandard.compress(frame.data[:KEPT_BYTES])
    row = (key, frame.source, frame.net, error.reason, error.detail, now, len(frame.data), body)
    query = "INSERT INTO quarantine VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
    return connection.execute(query, row).rowcount


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


def _event_id(data: bytes) -> bytes | None:
    try:
        return UUID(_event(data)["id"]).bytes
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _event(data: bytes) -> Any:
    frame = orjson.loads(data)
    return frame["event"] if isinstance(frame.get("event"), dict) else frame
