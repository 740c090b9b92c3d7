"""What an operator does with a store: look, back up, restore, vacuum, and tell it that a server has moved."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from streamer.errors import ConfigError, StoreError
from streamer.store.connection import connect, in_words, transaction
from streamer.store.lock import StoreLock, service_address
from streamer.store.migrations import require_known, schema_version
from streamer.timestamps import from_micros


def info(path: Path) -> dict[str, str]:
    """Return what the store holds, in words."""
    _require(path)
    with in_words(path, "read"), closing(connect(path, read_only=True)) as store:
        require_known(schema_version(store))
        return {
            "file": f"{path}, {_size(path)} bytes",
            "schema version": str(schema_version(store)),
            "service": service_address(path) or "none runs on it",
            "records": _one(store, "SELECT count(*) || ', seq up to ' || coalesce(max(seq), 0) FROM records"),
            "ids known": _one(store, "SELECT count(*) FROM ledger"),
            "runs": _one(store, "SELECT count(*) FROM runs"),
            "quarantined": _one(store, "SELECT count(*) FROM quarantine"),
            "dead letters": _one(store, "SELECT count(*) FROM dead_letters"),
            **{f"source {name}": text for name, text in _sources(store)},
            **{f"reader {name}": f"at {seq}" for name, seq in store.execute("SELECT reader, seq FROM cursors")},
        }


def backup(path: Path, target: Path) -> int:
    """Copy a store that may be in use, check the copy, and return its size in bytes."""
    _require(path)
    if target.exists():
        raise ConfigError(f"{target} exists", hint="choose another name; a backup overwrites nothing")
    partial = target.with_name(target.name + ".partial")
    with in_words(target, "write"), closing(connect(path, read_only=True)) as source:
        partial.unlink(missing_ok=True)
        with closing(sqlite3.connect(partial)) as copy:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
        _check(partial)
        partial.rename(target)
    return target.stat().st_size


def restore(backup_file: Path, path: Path, *, force: bool = False) -> None:
    """Put a backup in the store's place; what was there is kept beside it with `.replaced`."""
    _require(backup_file)
    _check(backup_file)
    with _locked(path):
        if path.exists() and not force:
            raise ConfigError(f"there is a store at {path}", hint="use --force to replace it; it is kept as .replaced")
        with in_words(path, "restore"):
            incoming = path.with_name(path.name + ".incoming")
            shutil.copyfile(backup_file, incoming)
            if path.exists():
                _fold_in_log(path)
                path.rename(path.with_name(path.name + ".replaced"))
            incoming.rename(path)


def vacuum(path: Path) -> tuple[int, int]:
    """Give unused space back; return the size in bytes before and after."""
    _require(path)
    with _locked(path), in_words(path, "vacuum"):
        before = _size(path)
        with closing(connect(path)) as store:
            store.execute("VACUUM")
            store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return before, _size(path)


def adopt(path: Path, *, source: str, identity: str) -> None:
    """Let a source have a new identity: it is the same server at another address."""
    _require(path)
    with _locked(path), in_words(path, "write to"), closing(connect(path)) as store, transaction(store):
        changed = store.execute("UPDATE sources SET identity = ? WHERE name = ?", (identity, source)).rowcount
        if not changed:
            known = ", ".join(row[0] for row in store.execute("SELECT name FROM sources")) or "none"
            raise ConfigError(f"the store has no source {source!r}", hint=f"it has: {known}")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = StoreLock(path)
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _require(path: Path) -> None:
    if not path.is_file():
        raise StoreError(f"there is no store at {path}", hint="say which with --store, or start `streamer run` first")


def _check(path: Path) -> None:
    with in_words(path, "use"), closing(connect(path, read_only=True)) as store:
        version = schema_version(store)
        require_known(version)
        verdict = _one(store, "PRAGMA integrity_check")
        if verdict != "ok" or version == 0:
            raise StoreError(f"{path} is no sound store: {verdict if version else 'it has no schema'}")


def _fold_in_log(path: Path) -> None:
    """Write SQLite's log back into the file, so that the file alone is the store."""
    with closing(connect(path)) as store:
        store.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _sources(store: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    for name, identity, epoch, watermark in store.execute("SELECT name, identity, epoch, watermark FROM sources"):
        complete = f", complete up to {from_micros(watermark).isoformat()}" if watermark else ""
        yield name, f"{identity}, counting since {from_micros(epoch).isoformat()}{complete}"


def _one(store: sqlite3.Connection, query: str) -> str:
    return str(store.execute(query).fetchone()[0])


def _size(path: Path) -> int:
    log = path.with_name(path.name + "-wal")
    return path.stat().st_size + (os.path.getsize(log) if log.exists() else 0)
