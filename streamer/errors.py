"""What can go wrong, as far as a caller acts on it.

    StreamerError
    ├── ConfigError             the settings are wrong: exit status 2
    ├── SourceError
    │   ├── AuthenticationFailed    fatal until the first connection: exit status 3
    │   ├── RequestRefused          the server understood, and said no
    │   └── ConnectionLost          try again
    ├── StoreError              the store cannot be had, or cannot be written
    └── SinkError
        ├── Retry               the destination cannot take it now
        └── Reject              the destination will never take it

Those an operator sees carry a hint: what to do.
"""


class StreamerError(Exception):
    """Any failure this package raises on purpose."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class ConfigError(StreamerError):
    """A setting is missing, unknown or wrong."""


class SourceError(StreamerError):
    """The Prefect server cannot be used."""


class AuthenticationFailed(SourceError):  # noqa: N818 - the name is the public contract
    """The server refused the credentials."""


class RequestRefused(SourceError):  # noqa: N818
    """The server refused a request for good, such as a filter it does not know."""


class ConnectionLost(SourceError):  # noqa: N818
    """The server could not be reached, or went away; `after` is in seconds, if it asked for a wait."""

    def __init__(self, message: str, hint: str | None = None, *, after: float | None = None) -> None:
        super().__init__(message, hint)
        self.after = after


class StoreError(StreamerError):
    """The store cannot be opened, read or written; it `may_pass` if the disk is full, failing or busy."""

    def __init__(self, message: str, hint: str | None = None, *, may_pass: bool = False) -> None:
        super().__init__(message, hint)
        self.may_pass = may_pass


class LeaseError(StoreError):
    """Another process writes the store, or has taken it over."""


class SinkError(StreamerError):
    """A sink did not take the records."""


class Retry(SinkError):  # noqa: N818
    """Not now: the same records again, `after` seconds from now if the destination said so."""

    def __init__(self, message: str, hint: str | None = None, *, after: float | None = None) -> None:
        super().__init__(message, hint)
        self.after = after


class Reject(SinkError):  # noqa: N818
    """Never: among these records is one that the destination will not take."""
