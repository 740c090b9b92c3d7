"""How a Prefect server is reached: said once, for the one server, or in a `[sources.NAME]` table for each of many."""

from pathlib import Path

import httpx
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

SHARED = frozenset({"ssl_cert_file", "tls_insecure_skip_verify", "proxy", "requests_per_minute"})
"""What a table leaves out of these is as it is outside. Addresses and credentials are each server's own."""


def require_url(value: str) -> None:
    """Raise `ValueError` for what is no address."""
    try:
        url = httpx.URL(value)
    except (httpx.InvalidURL, ValueError) as error:
        raise ValueError(f"it is no address: {error}") from None
    if not url.scheme or not url.host or not 0 < (url.port or 1) < 65536:
        raise ValueError("it is no address such as http://host:port")


class ServerSettings(BaseModel):
    """Where a server is, who we are to it, and by which way it is reached."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    api_url: str = Field("http://127.0.0.1:4200/api", description="the Prefect API")
    ui_url: str | None = Field(None, description="Prefect's pages, for links to them; default: from api_url")
    api_key: SecretStr | None = Field(None, description="API key of Prefect Cloud")
    api_key_file: Path | None = Field(None, description="file that holds the API key, read at each connect")
    auth_string: SecretStr | None = Field(None, description="`user:password` of a self-hosted server")
    auth_string_file: Path | None = Field(None, description="file that holds it, read at each connect")
    ssl_cert_file: Path | None = Field(None, description="certificate authorities to trust, PEM")
    tls_insecure_skip_verify: bool = Field(False, description="trust any certificate; for tests only")
    custom_headers: dict[str, SecretStr] = Field(default_factory=dict, description="headers for every request")
    proxy: str | None = Field(None, description="proxy URL; `none` for no proxy; default: HTTP_PROXY and the like")
    requests_per_minute: int | None = Field(
        None, ge=10, description="most requests to the server's REST API; default: 3000, Cloud 300"
    )

    @field_validator("api_url")
    @classmethod
    def _is_http(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")) or not value.split("/")[2]:
            raise ValueError("it is no http:// or https:// address")
        if "@" in value.split("/")[2]:
            raise ValueError("it holds credentials, which do not belong there: set auth_string")
        require_url(value)
        return value.rstrip("/")

    @field_validator("ui_url")
    @classmethod
    def _is_page(cls, value: str | None) -> str | None:
        if value is not None:
            require_url(value)
        return value.rstrip("/") if value else None

    @field_validator("proxy")
    @classmethod
    def _is_proxy(cls, value: str | None) -> str | None:
        if value not in (None, "none"):
            require_url(value)
        return value

    @field_validator("api_key")
    @classmethod
    def _fits_a_header(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not value.get_secret_value().isascii():
            raise ValueError("it holds characters that are not ASCII")
        return value

    @property
    def is_cloud(self) -> bool:
        """Tell whether the server is Prefect Cloud, which counts an account's requests."""
        return httpx.URL(self.api_url).host.endswith("prefect.cloud")

    @property
    def page(self) -> str:
        """Return where the server's pages are, as Prefect's own `default_ui_url` has it unless it is told."""
        if self.ui_url:
            return self.ui_url
        place = self.api_url.replace("://api.prefect.cloud/api/", "://app.prefect.cloud/").removesuffix("/api")
        return place.replace("/accounts/", "/account/").replace("/workspaces/", "/workspace/")


class SourceSettings(ServerSettings):
    """A `[sources.NAME]` table."""

    api_url: str = Field(description="the Prefect API")
