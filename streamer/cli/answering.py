"""Who answers questions about runs: the local store, or a running service."""

from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from streamer import config
from streamer.access import AccessSettings
from streamer.client import Client, LocalProvider
from streamer.errors import AuthenticationFailed, ConfigError

ServiceUrl = Annotated[
    str | None,
    typer.Option("--service", help="Ask the service at this address, such as http://host:4280, instead of the store."),
]

WHO_ASKS = "give what its [access] asks for, such as STREAMER_ACCESS__TOKEN or STREAMER_ACCESS__TOKEN_FILE"


@contextmanager
def client(
    *, service: str | None, store: str | None, api_url: str | None, config_file: Path | None
) -> Iterator[Client]:
    """Yield who answers. To a service, the `[access]` of the settings proves who asks."""
    if service and (store or api_url):
        raise ConfigError("a service has a store and a Prefect server already", hint="leave --store and --api-url out")
    settings = config.load(config_file, store=store, api_url=api_url)
    try:
        with _of_service(service, settings.access) if service else _of_store(settings) as asked:
            yield asked
    except AuthenticationFailed as error:
        if service:
            raise AuthenticationFailed(str(error), WHO_ASKS) from error
        raise


def _of_store(settings: config.Settings) -> Client:
    return Client(LocalProvider(settings=settings), namespace=None)


def _of_service(url: str, access: AccessSettings) -> Client:
    """Return the client of a service, with the token or else the `user:password` that there is now."""
    access.require_readable()
    token = next((each.decode() for each in access.tokens()), None)
    auth_string = next((b64decode(each).decode() for each in access.basics()), None) if token is None else None
    return Client(url, namespace=None, token=token, auth_string=auth_string)


def warn_if_idle(asked: Client) -> None:
    """Say so if nobody writes the store that is asked: nothing new will be seen then."""
    provider = asked.session.provider
    if isinstance(provider, LocalProvider) and not provider.is_written():
        typer.echo("no service runs on this store: what happens from now on will not be seen", err=True)
