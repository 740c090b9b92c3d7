"""How sinks come to a server over HTTP: headers, credentials, TLS, proxy."""

import re
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

import httpx
from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator

from streamer.errors import Retry
from streamer.sinks.options import Login, Tls

_HEADER_NAME = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"
_HEADER_VALUE = re.compile(r"[!-~]([ -~]*[!-~])?")

_SHORT = 6
"""So many characters are no secret: `Bearer`, `true`, `1`."""


def _header_value(value: SecretStr) -> SecretStr:
    if not _HEADER_VALUE.fullmatch(value.get_secret_value()):
        raise ValueError("a header holds printable ASCII only, and no blanks at its ends")
    return value


HeaderName = Annotated[str, Field(pattern=_HEADER_NAME)]
HeaderValue = Annotated[SecretStr, AfterValidator(_header_value)]


class Http(Login, Tls):
    """`headers`, a `token` or a login, and a `proxy`; `timeout` is in seconds, and of a request as a whole.

    Files of secrets are read at each write, so that what is in them can be replaced.
    """

    headers: dict[HeaderName, HeaderValue] = Field(default_factory=dict)
    token: HeaderValue | None = None
    token_file: Path | None = None
    timeout: float = Field(30.0, gt=0)
    proxy: SecretStr | None = None

    @field_validator("proxy")
    @classmethod
    def _is_proxy(cls, value: SecretStr | None) -> SecretStr | None:
        if value and value.get_secret_value() != "none":
            address(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _shows_itself_once(self) -> Self:
        if self.token and self.token_file:
            raise ValueError("token and token_file are given: one of them is enough")
        if (self.token or self.token_file) and self.username:
            raise ValueError("a token and a username are given: only one of them can be shown")
        return self

    def all_headers(self) -> dict[str, str]:
        """Return the headers asked for and the credentials, as they are now; raise `OSError` if a file is missing."""
        headers = {name.lower(): value.get_secret_value() for name, value in self.headers.items()}
        if token := now(self.token, self.token_file):
            if not _HEADER_VALUE.fullmatch(token):
                raise Retry("token_file holds more than printable ASCII on one line")
            headers["authorization"] = f"Bearer {token}"
        elif self.username:
            login = f"{self.username}:{self.secret() or ''}"
            headers["authorization"] = f"Basic {b64encode(login.encode()).decode()}"
        return headers

    def masked(self, text: str, headers: Mapping[str, str]) -> str:
        """Return a text, such as an answer, without what of our headers it repeats and nobody else should know."""
        given = (headers[name.lower()] for name in self.headers)
        for secret in (*given, *headers.get("authorization", "").split()):
            text = text.replace(secret, "…") if len(secret) > _SHORT else text
        return text


def now(value: SecretStr | None, file: Path | None) -> str | None:
    """Return a secret as it is now; raise `OSError` if its file cannot be read."""
    if file:
        return file.expanduser().read_text().strip()
    return value.get_secret_value() if value else None


def address(text: str) -> httpx.URL:
    """Return the address; what is wrong with it is not repeated, as there may be a password in it."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("an address starts with https:// or http://, and special characters in it are written as %XX")
    return url


def without_login(text: str) -> tuple[str, dict[str, str]]:
    """Return an address without its user and password, and these as options."""
    url = address(text)
    login = {"username": url.username, "password": url.password}
    bare = str(url.copy_with(username=None, password=None))
    return bare, {name: value for name, value in login.items() if value}


def place_of(text: str) -> str:
    """Return the server of an address: what may be shown of one whose path or query may be a secret."""
    url = httpx.URL(text)
    return f"{url.scheme}://{url.netloc.decode()}"
