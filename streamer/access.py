"""Who may ask the service over HTTP: the `[access]` table."""

import re
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Self

import structlog
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from streamer.errors import ConfigError

_ORIGIN = re.compile(r"\*|https?://[^/\s?#@]+")

logger = structlog.get_logger(__name__)


class AccessSettings(BaseModel):
    """The `[access]` table: a token, or a name and a password, or both; files that hold them are read at each request.

    `cors` lists the origins whose pages may ask from a browser.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    token: SecretStr | None = None
    token_file: Path | None = None
    username: Annotated[str, Field(min_length=1, pattern="^[^:]+$")] | None = None
    password: SecretStr | None = None
    password_file: Path | None = None
    cors: tuple[str, ...] = ()

    @field_validator("token", "password")
    @classmethod
    def _is_something(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().strip():
            raise ValueError("it is empty")
        return value

    @field_validator("cors")
    @classmethod
    def _are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError("an origin is such as https://host or http://host:port, or it is *")
        return value

    @model_validator(mode="after")
    def _is_given_once(self) -> Self:
        if (self.token and self.token_file) or (self.password and self.password_file):
            raise ValueError("a secret and the file that holds it are given: one of them is enough")
        if bool(self.username) != bool(self.password or self.password_file):
            raise ValueError("username and password belong together")
        return self

    @property
    def is_wanted(self) -> bool:
        """Tell whether anybody has to prove who they are."""
        return bool(self.token or self.token_file or self.username)

    def tokens(self) -> list[bytes]:
        """Return the tokens as they are now, none if its file cannot be read."""
        return list(_now(self.token, self.token_file, "token_file"))

    def basics(self) -> list[bytes]:
        """Return what the header of basic authorisation has after `Basic`, as it is now."""
        passwords = _now(self.password, self.password_file, "password_file")
        return [b64encode(f"{self.username}:".encode() + password) for password in passwords]

    def require_readable(self) -> None:
        """Raise `ConfigError` if a file does not hold a secret."""
        for file, setting in ((self.token_file, "token_file"), (self.password_file, "password_file")):
            if file and not _read(file, setting):
                raise ConfigError(f"access.{setting} {file} is empty", hint="write the secret into it")


def _now(secret: SecretStr | None, file: Path | None, setting: str) -> Iterator[bytes]:
    try:
        found = _read(file, setting) if file else secret.get_secret_value().encode() if secret else b""
    except ConfigError as error:
        logger.warning("nobody can prove who they are by this", error=str(error), hint=error.hint)
        return
    if found:
        yield found


def _read(file: Path, setting: str) -> bytes:
    try:
        return file.expanduser().read_bytes().strip()
    except OSError as error:
        raise ConfigError(
            f"cannot read access.{setting} {file}: {error.strerror}", hint="is the path right?"
        ) from error
