"""From settings to a connection: secrets as they are asked for, TLS, proxy, headers."""

import ssl
from pathlib import Path

import structlog
from pydantic import SecretStr

from streamer.errors import ConfigError
from streamer.server_settings import ServerSettings
from streamer.source.connection import Connection, Secret, tls_context

_PROTECTED = frozenset(
    {
        "authorization",
        "connection",
        "host",
        "sec-websocket-extensions",
        "sec-websocket-key",
        "sec-websocket-protocol",
        "sec-websocket-version",
        "upgrade",
        "user-agent",
    }
)

logger = structlog.get_logger(__name__)


def connection_of(settings: ServerSettings) -> Connection:
    """Return how the server of these settings is reached."""
    connection = Connection(
        api_url=settings.api_url,
        api_key=_secret(settings.api_key, settings.api_key_file, "api_key_file"),
        auth_string=_secret(settings.auth_string, settings.auth_string_file, "auth_string_file"),
        headers=_headers(settings),
        tls=_tls(settings) if settings.api_url.startswith("https") else None,
        proxy=None if settings.proxy in (None, "none") else settings.proxy,
        trust_proxy_environment=settings.proxy is None,
    )
    if not (connection.token() or "").isascii():
        logger.warning("the credentials are not ASCII; Prefect's server cannot compare such and closes the stream")
    return connection


def _secret(value: SecretStr | None, file: Path | None, setting: str) -> Secret:
    if file is None:
        return lambda: value.get_secret_value() if value else None

    def read() -> str | None:
        try:
            return file.expanduser().read_text(encoding="utf-8").strip() or None
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"cannot read {setting} {file}: {error}", hint="is the path right?") from error

    return read


def _headers(settings: ServerSettings) -> dict[str, str]:
    kept = {}
    for name, value in settings.custom_headers.items():
        if name.lower() in _PROTECTED:
            logger.warning("a custom header is left out: it belongs to the protocol", header=name)
        else:
            kept[name] = value.get_secret_value()
    return kept


def _tls(settings: ServerSettings) -> ssl.SSLContext:
    ca_file = settings.ssl_cert_file.expanduser() if settings.ssl_cert_file else None
    try:
        return tls_context(ca_file=ca_file, insecure=settings.tls_insecure_skip_verify)
    except OSError as error:
        raise ConfigError(
            f"cannot use ssl_cert_file {settings.ssl_cert_file}: {error}", hint="give a PEM file"
        ) from error
