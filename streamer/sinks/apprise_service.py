"""A service that apprise reaches by a URL, such as a channel of Slack; what it says of a failure becomes the error."""

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote

from apprise import Apprise, AppriseAsset, NotifyFormat, NotifyType, OverflowMode
from apprise.plugins import NotifyBase

from streamer.errors import Retry

_ASSET = AppriseAsset(app_id="streamer", app_desc="Prefect flow runs", async_mode=False)
_SHORT = 5
"""So many characters are no secret."""


class _Overheard(logging.Handler):
    """Keep what apprise warns of, apart for each thread; it is no part of our own log."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._of = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it for whoever listens in this thread."""
        if (said := getattr(self._of, "said", None)) is not None:
            said.append(record.getMessage())

    @contextmanager
    def listening(self) -> Iterator[list[str]]:
        """Collect what is said meanwhile."""
        said: list[str] = []
        self._of.said = said
        try:
            yield said
        finally:
            self._of.said = None


def _overhearing() -> _Overheard:
    logger, handler = logging.getLogger("apprise"), _Overheard()
    logger.addHandler(handler)
    logger.propagate = False
    return handler


_OVERHEARD = _overhearing()


class Service:
    """One URL; raise `ValueError` if apprise does not understand it. It blocks: use it in a thread.

    Messages that are too long for the service are cut, unless the URL says otherwise (`overflow=split`).
    """

    def __init__(self, url: str) -> None:
        with _OVERHEARD.listening():
            found = Apprise.instantiate(url, asset=_ASSET)
        if not isinstance(found, NotifyBase):
            raise ValueError("apprise does not understand it: is it complete, and with the schema of a service?")  # noqa: TRY004 - pydantic takes only this one
        if "overflow=" not in url:
            found.overflow_mode = OverflowMode.TRUNCATE
        self.name = str(found.service_name)
        self._secrets = _secrets(url, found.url(privacy=True))  # type: ignore[no-untyped-call] # apprise has no types there
        self._apprise = Apprise(asset=_ASSET)
        self._apprise.add(found)

    def send(self, title: str, body: str, kind: NotifyType) -> None:
        """Send a message; raise `Retry` if the service does not take it."""
        with _OVERHEARD.listening() as said:
            taken = self._apprise.notify(body=body, title=title, notify_type=kind, body_format=NotifyFormat.TEXT)
        if not taken:
            reason = " ".join(" ".join(said).split()) or "apprise does not say why"
            raise Retry(f"{self.name}: {self._masked(reason)}")

    def _masked(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return text


def _secrets(url: str, shown: str) -> list[str]:
    """Return the parts of a URL that may be secrets, the longest first: all but schema, and a host that is shown."""
    schema, _, rest = url.partition("://")
    host = re.split(r"[/?]", rest)[0].rpartition("@")[2]
    shown_host = re.split(r"[/?]", shown.partition("://")[2])[0].rpartition("@")[2]
    parts = {part for each in (rest, unquote(rest)) for part in re.split(r"[:/@?&=,\s]+", each)}
    public = {schema, host.partition(":")[0]} if host == shown_host else {schema}
    return sorted((part for part in parts - public if len(part) > _SHORT), key=len, reverse=True)
