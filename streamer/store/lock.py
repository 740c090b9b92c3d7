"""One writer: a lock file beside the store, which names the process that holds it and where it listens."""

import fcntl
import os
import time
from pathlib import Path
from typing import IO

import orjson

from streamer.errors import StoreError

LOOKING_SECONDS = 1.0


class StoreLock:
    """Hold the store for one process, for as long as that lives; the system frees it however it ends."""

    def __init__(self, store: Path) -> None:
        self._path = store.with_name(store.name + ".lock")
        self._file: IO[bytes] | None = None

    def acquire(self, *, address: str = "") -> None:
        """Take the lock, or raise `StoreError` that says who has it."""
        file = self._path.open("a+b")
        deadline = time.monotonic() + LOOKING_SECONDS
        while not _locked(file):
            holder = read_holder(self._path)
            if not holder and time.monotonic() < deadline:
                time.sleep(0.01)  # somebody only looks who has the store: see `service_address`
                continue
            file.close()
            raise StoreError(
                f"the store is in use by process {holder.get('pid', '?')}"
                + (f", which listens on {holder['address']}" if holder.get("address") else ""),
                hint="stop that service first, or give this one its own --store",
            )
        file.truncate(0)
        file.write(orjson.dumps({"pid": os.getpid(), "address": address}))
        file.flush()
        self._file = file

    def release(self) -> None:
        """Give the lock back."""
        if self._file:
            self._file.truncate(0)
            self._file.close()
            self._file = None


def _locked(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def read_holder(lock_file: Path) -> dict[str, str]:
    """Return `pid` and `address` of the process that holds the lock; empty when nobody wrote them."""
    try:
        holder: dict[str, str] = orjson.loads(lock_file.read_bytes())
    except (OSError, ValueError):
        return {}
    return holder


def service_address(store: Path) -> str | None:
    """Return where the service that runs on this store listens; None when none runs."""
    path = store.with_name(store.name + ".lock")
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return read_holder(path).get("address")
    except OSError:
        return None
    return None
