"""How a Prefect server is reached: address, credentials, TLS, proxy. One setting serves REST and websocket."""

import ssl
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import certifi

Secret = Callable[[], str | None]
"""Asked at each connect, so that a rotated secret file is seen."""


def no_secret() -> str | None:
    """Return nothing: the server wants no credentials."""
    return None


@dataclass(frozen=True, slots=True)
class Connection:
    """One server's API. Of key and auth string the key wins, as in Prefect's own client (prefect.md 12)."""

    api_url: str
    api_key: Secret = no_secret
    auth_string: Secret = no_secret
    headers: Mapping[str, str] = field(default_factory=dict)
    tls: ssl.SSLContext | None = None
    proxy: str | None = None
    trust_proxy_environment: bool = True

    @property
    def websocket_url(self) -> str:
        """Return where the event stream is: `http` becomes `ws`, `https` becomes `wss`."""
        return "ws" + self.api_url.removeprefix("http") + "/events/out"

    def token(self) -> str | None:
        """Return the token of the auth message: the key, or the raw `user:password` (prefect.md 2)."""
        return self.api_key() or self.auth_string()

    def all_headers(self) -> dict[str, str]:
        """Return the custom headers with the authorisation: bearer for a key, basic for `user:password`."""
        if key := self.api_key():
            return {**self.headers, "Authorization": f"Bearer {key}"}
        if auth := self.auth_string():
            return {**self.headers, "Authorization": f"Basic {b64encode(auth.encode()).decode()}"}
        return dict(self.headers)


def tls_context(*, ca_file: Path | None = None, insecure: bool = False) -> ssl.SSLContext:
    """Return a context that trusts certifi's authorities, or those in `ca_file`, or, if told to, everybody."""
    context = ssl.create_default_context(cafile=str(ca_file or certifi.where()))
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
