"""What Prefect itself is set to: its environment variables, and its active profile (`profiles.toml`)."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from streamer.errors import ConfigError

CREDENTIALS = frozenset({"api_key", "auth_string", "custom_headers"})

_NAMES = {
    "PREFECT_API_URL": "api_url",
    "PREFECT_API_KEY": "api_key",
    "PREFECT_API_AUTH_STRING": "auth_string",
    "PREFECT_API_SSL_CERT_FILE": "ssl_cert_file",
    "PREFECT_API_TLS_INSECURE_SKIP_VERIFY": "tls_insecure_skip_verify",
    "PREFECT_CLIENT_CUSTOM_HEADERS": "custom_headers",
}


def from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return our settings as Prefect's variables give them; unset and empty ones are left out."""
    found: dict[str, Any] = {ours: environment[name] for name, ours in _NAMES.items() if environment.get(name)}
    if headers := found.get("custom_headers"):
        found["custom_headers"] = _headers(headers)
    return found


def from_profile(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return our settings as Prefect's active profile gives them; nothing if there is none."""
    home = Path(environment.get("PREFECT_HOME") or "~/.prefect").expanduser()
    path = Path(environment.get("PREFECT_PROFILES_PATH") or home / "profiles.toml").expanduser()
    try:
        profiles = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    active = environment.get("PREFECT_PROFILE") or profiles.get("active")
    profile = profiles.get("profiles", {}).get(active, {})
    return from_environment({name: str(value) for name, value in profile.items()})


def _headers(text: str) -> dict[str, str]:
    try:
        headers = orjson.loads(text)
    except ValueError:
        headers = None
    if not isinstance(headers, dict):
        raise ConfigError("PREFECT_CLIENT_CUSTOM_HEADERS is no JSON object", hint='write it as {"Name": "value"}')
    return {str(name): str(value) for name, value in headers.items()}
