"""Where a webhook is, and with which headers, credentials and signature it is sent to."""

import re
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import httpx
from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator
from standardwebhooks import Webhook

from streamer.errors import Retry
from streamer.sinks.formats import Format, Formatted
from streamer.sinks.json_bodies import gives_json
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


class WebhookOptions(Formatted, Login, Tls):
    """`url` and how to send to it; credentials in the `url` become `username` and `password`.

    Files of secrets are read at each write, so that what is in them can be replaced.
    """

    url: str
    method: Literal["POST", "PUT", "PATCH"] = "POST"
    headers: dict[HeaderName, HeaderValue] = Field(default_factory=dict)
    token: HeaderValue | None = None
    token_file: Path | None = None
    signing_secret: SecretStr | None = None
    signing_secret_file: Path | None = None
    batch: bool = False
    timeout: float = Field(30.0, gt=0)
    proxy: SecretStr | None = None

    @model_validator(mode="before")
    @classmethod
    def _take_the_login_out_of_the_url(cls, given: Any) -> Any:
        if not isinstance(given, Mapping) or not isinstance(given.get("url"), str):
            return given
        url = _address(given["url"])
        login = {"username": url.username, "password": url.password}
        bare = str(url.copy_with(username=None, password=None))
        return {**{name: value for name, value in login.items() if value}, **given, "url": bare}

    @field_validator("signing_secret")
    @classmethod
    def _can_sign(cls, value: SecretStr | None) -> SecretStr | None:
        if value:
            _signer(value.get_secret_value())
        return value

    @field_validator("proxy")
    @classmethod
    def _is_proxy(cls, value: SecretStr | None) -> SecretStr | None:
        if value and value.get_secret_value() != "none":
            _address(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for name in ("token", "signing_secret"):
            if getattr(self, name) and getattr(self, f"{name}_file"):
                raise ValueError(f"{name} and {name}_file are given: one of them is enough")
        if (self.token or self.token_file) and self.username:
            raise ValueError("a token and a username are given: only one of them can be shown")
        if self.batch and not gives_json(self):
            raise ValueError("a batch is an array of JSON: give the template a JSON content_type")
        if self.batch and self.format is Format.CLOUDEVENT_BINARY:
            raise ValueError("a batch has no headers for each record: choose the format cloudevent")
        return self

    @property
    def place(self) -> str:
        """Return the server: what may be shown of a url whose path or query may be a secret."""
        url = httpx.URL(self.url)
        return f"{url.scheme}://{url.netloc.decode()}"

    def all_headers(self) -> dict[str, str]:
        """Return the headers asked for and the credentials, as they are now; raise `OSError` if a file is missing."""
        headers = {name.lower(): value.get_secret_value() for name, value in self.headers.items()}
        if token := _now(self.token, self.token_file):
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

    def signer(self) -> Webhook | None:
        """Return what signs, with the secret as it is now; None if there is no secret."""
        secret = _now(self.signing_secret, self.signing_secret_file)
        try:
            return _signer(secret) if secret else None
        except ValueError as error:
            raise Retry(f"signing_secret_file: {error}") from None


def _now(value: SecretStr | None, file: Path | None) -> str | None:
    if file:
        return file.expanduser().read_text().strip()
    return value.get_secret_value() if value else None


def _address(text: str) -> httpx.URL:
    """Return the address; what is wrong with it is not repeated, as there may be a password in it."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("an address starts with https:// or http://, and special characters in it are written as %XX")
    return url


def _signer(secret: str) -> Webhook:
    try:
        return Webhook(secret)
    except (ValueError, RuntimeError) as error:
        raise ValueError("it is no base64, with or without whsec_ before it") from error
