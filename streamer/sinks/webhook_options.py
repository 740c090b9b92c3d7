"""Where a webhook is, and with which headers, credentials and signature it is sent to."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import SecretStr, field_validator, model_validator
from standardwebhooks import Webhook

from streamer.errors import Retry
from streamer.sinks.formats import Format, Formatted
from streamer.sinks.http_options import Http, now, place_of, without_login
from streamer.sinks.json_bodies import gives_json


class WebhookOptions(Formatted, Http):
    """`url` and how to send to it; credentials in the `url` become `username` and `password`."""

    url: str
    method: Literal["POST", "PUT", "PATCH"] = "POST"
    signing_secret: SecretStr | None = None
    signing_secret_file: Path | None = None
    batch: bool = False

    @model_validator(mode="before")
    @classmethod
    def _take_the_login_out_of_the_url(cls, given: Any) -> Any:
        if not isinstance(given, Mapping) or not isinstance(given.get("url"), str):
            return given
        bare, login = without_login(given["url"])
        return {**login, **given, "url": bare}

    @field_validator("signing_secret")
    @classmethod
    def _can_sign(cls, value: SecretStr | None) -> SecretStr | None:
        if value:
            _signer(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.signing_secret and self.signing_secret_file:
            raise ValueError("signing_secret and signing_secret_file are given: one of them is enough")
        if self.batch and not gives_json(self):
            raise ValueError("a batch is an array of JSON: give the template a JSON content_type")
        if self.batch and self.format is Format.CLOUDEVENT_BINARY:
            raise ValueError("a batch has no headers for each record: choose the format cloudevent")
        return self

    @property
    def place(self) -> str:
        """Return the server: what may be shown of a url whose path or query may be a secret."""
        return place_of(self.url)

    def signer(self) -> Webhook | None:
        """Return what signs, with the secret as it is now; None if there is no secret."""
        secret = now(self.signing_secret, self.signing_secret_file)
        try:
            return _signer(secret) if secret else None
        except ValueError as error:
            raise Retry(f"signing_secret_file: {error}") from None


def _signer(secret: str) -> Webhook:
    try:
        return Webhook(secret)
    except (ValueError, RuntimeError) as error:
        raise ValueError("it is no base64, with or without whsec_ before it") from error
