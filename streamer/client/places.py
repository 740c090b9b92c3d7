"""Which place and namespace are meant where none is named: global, as in Metaflow's client."""

from contextlib import suppress
from dataclasses import dataclass, field

from streamer.client.local import LocalProvider
from streamer.client.providers import Provider
from streamer.client.remote import RemoteProvider
from streamer.client.session import Session, Sessioned
from streamer.errors import ConfigError


@dataclass
class _Usual:
    place: str | None = None
    namespace: str | None = None
    sessions: dict[str | None, Session] = field(default_factory=dict)


_usual = _Usual()


def provider_of(
    place: str | None = None,
    *,
    api_url: str | None = None,
    token: str | None = None,
    auth_string: str | None = None,
) -> Provider:
    """Return who answers at a place: a service for `http…`, else the store of a URL, or that of the settings."""
    kind, at, where = (place or "").partition("@")
    if at and kind in ("local", "service"):
        place = f"sqlite:///{where}" if kind == "local" and "://" not in where else where
    if place and place.startswith(("http://", "https://")):
        if api_url:
            raise ConfigError("a service asks its own Prefect server", hint="leave api_url out, or name a store")
        return RemoteProvider(place, token=token, auth_string=auth_string)
    return LocalProvider(place or None, api_url=api_url)


def metadata(place: str) -> str:
    """Let this place answer where none is named; return what `get_metadata` does.

    It is what `Client` takes: `http://host:4280`, `sqlite:///…`, or what `get_metadata` returned.
    """
    found = provider_of(place).place
    _change(place)
    return found


def get_metadata() -> str:
    """Return who answers where none is named, such as `local@/path` or `service@http://host:4280`."""
    return usual_session().provider.place


def default_metadata() -> str:
    """Let the store of the settings answer again where none is named; return what `get_metadata` does."""
    _change(None)
    return get_metadata()


def namespace(tag: str | None) -> str | None:
    """Let only runs with this tag be seen, or all with None; return it."""
    _usual.namespace = tag
    return tag


def get_namespace() -> str | None:
    """Return the tag that runs must have to be seen; None if they need not."""
    return _usual.namespace


def default_namespace() -> str | None:
    """Let all runs be seen, as at first: Prefect does not tag runs with who started them, as Metaflow does."""
    return namespace(None)


def usual_session() -> Session:
    """Return the session with who answers where none is named."""
    if _usual.place not in _usual.sessions:
        _usual.sessions[_usual.place] = Session(provider_of(_usual.place), get_namespace)
    return _usual.sessions[_usual.place]


def session_of(given: Sessioned | None) -> Session:
    """Return the session of a client, or that which is meant where none is named."""
    return given.session if given else usual_session()


def _change(place: str | None) -> None:
    with suppress(KeyError):
        _usual.sessions.pop(place).provider.close()
    _usual.place = place
