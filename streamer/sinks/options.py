"""Options that sinks share: whom to trust and as whom to come."""

import ssl
from pathlib import Path

from pydantic import BaseModel, ConfigDict, SecretStr, model_validator

from streamer.errors import ConfigError


class Tls(BaseModel):
    """TLS: `ca_file` to trust another authority than the system's; `cert_file`, `key_file` to show who we are."""

    model_config = ConfigDict(extra="forbid")

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Return what to open a connection with; raise `ConfigError` if a file cannot be used."""
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.cert_file:
                context.load_cert_chain(self.cert_file, self.key_file)
        except (OSError, ssl.SSLError) as error:
            files = ", ".join(str(each) for each in (self.ca_file, self.cert_file, self.key_file) if each)
            raise ConfigError(f"cannot use the certificates {files}: {error}", hint="they are PEM files") from error
        return context


class Login(BaseModel):
    """User and password; `password_file` is read at each connect, so that a password can be replaced."""

    model_config = ConfigDict(extra="forbid")

    username: str | None = None
    password: SecretStr | None = None
    password_file: Path | None = None

    @model_validator(mode="after")
    def _is_given_once(self) -> "Login":
        if self.password and self.password_file:
            raise ValueError("password and password_file are given: one of them is enough")
        return self

    def secret(self) -> str | None:
        """Return the password as it is now; raise `OSError` if its file cannot be read."""
        if self.password_file:
            return self.password_file.read_text().strip()
        return self.password.get_secret_value() if self.password else None
