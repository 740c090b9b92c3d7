"""The settings, and the only reader of the environment.

Strongest first: flags, `STREAMER_*`, `streamer.toml`, Prefect's own environment, Prefect's active profile, defaults.
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ByteSize, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from streamer import prefect_settings, sinks
from streamer.access import AccessSettings
from streamer.alerts.conditions import KINDS, AnyRule
from streamer.alerts.rule import Rule
from streamer.audit import AGES
from streamer.batching import Batching
from streamer.dead_man import DeadManSettings
from streamer.delivery import Terms
from streamer.durations import Duration
from streamer.errors import ConfigError
from streamer.logs import LogFormat
from streamer.metric_settings import MetricsSettings
from streamer.model import Retention
from streamer.redaction import Redaction
from streamer.routing import Route, Routed, Routing
from streamer.rules import LivenessSettings
from streamer.selection import Selection
from streamer.server_settings import SHARED, ServerSettings, SourceSettings
from streamer.starts import Start
from streamer.store.place import FilePlace, Place, place_of
from streamer.surroundings import Surroundings
from streamer.toml_file import find_and_read

_DATABASES = ("postgresql://", "postgres://")
_USUAL = Batching()
_OTHER_FORM = {
    "api_key": "api_key_file",
    "api_key_file": "api_key",
    "auth_string": "auth_string_file",
    "auth_string_file": "auth_string",
}

_KUBERNETES = re.compile(r"STREAMER_(\w+_)?(SERVICE_(HOST|PORT)|PORT($|_\d))")
"""What Kubernetes puts into its pods' environment for a Service named `streamer` or `streamer-x`: not ours."""


class RetentionSettings(BaseModel):
    """How long `records` are kept from when they came, and `runs` from when they ended, within a `size` on the disk."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    records: Annotated[Duration, Field(ge=timedelta(hours=1))] = Retention.records
    runs: Annotated[Duration, Field(ge=timedelta(hours=1))] = Retention.runs
    size: Annotated[ByteSize, Field(ge=10_000_000)] = ByteSize(Retention.size)

    def as_retention(self) -> Retention:
        """Return it as the store takes it."""
        return Retention(self.records, self.runs, self.size)


class SinkSettings(Routing):
    """A `[sinks.NAME]` table: the type, where a new sink starts, on what terms it is given records, and its options."""

    model_config = ConfigDict(extra="allow", frozen=True)

    type: str
    start: Start = "head"
    batch_size: Annotated[int, Field(ge=1, le=10_000)] = _USUAL.records
    batch_bytes: Annotated[ByteSize, Field(ge=1)] = ByteSize(_USUAL.size)
    linger: Annotated[Duration, Field(le=timedelta(minutes=1))] = _USUAL.linger
    write_timeout: Annotated[Duration, Field(ge=timedelta(milliseconds=100))] = timedelta(seconds=60)
    max_age: Annotated[Duration, Field(ge=timedelta(seconds=1))] | None = None

    def terms(self, name: str, routes: Sequence[Route] = ()) -> Terms:
        """Return how records are delivered to the sink that has this name."""
        batching = Batching(self.batch_size, self.batch_bytes, self.linger)
        kinds = self.match.kinds or sinks.kinds_of(self.type)
        routing = Routing(match=self.match.but(kinds=kinds), exclude=self.exclude)
        return Terms(batching, self.write_timeout, self.max_age, Routed(name, routes, routing))

    @property
    def options(self) -> dict[str, Any]:
        """Return what is the sink type's own."""
        return dict(self.model_extra or {})


class PushSettings(BaseModel):
    """A `[push.NAME]` table: the type, how often, and the options of the type."""

    model_config = ConfigDict(extra="allow", frozen=True)

    type: str
    every: Annotated[Duration, Field(ge=timedelta(seconds=10))] = timedelta(seconds=60)

    @property
    def options(self) -> dict[str, Any]:
        """Return what is the push type's own."""
        return dict(self.model_extra or {})


class Settings(ServerSettings, BaseSettings):
    """Everything that can be set. See the table in README.md."""

    model_config = SettingsConfigDict(
        env_prefix="STREAMER_", env_nested_delimiter="__", extra="forbid", frozen=True, env_ignore_empty=True
    )
    config_file: ClassVar[Path | None] = None

    source: str = Field("default", description="name of the server in records and metrics")
    sources: dict[str, SourceSettings] = Field(
        default_factory=dict, description="`[sources.NAME]` tables: many servers in place of the one"
    )
    store: str = Field("", description="where the log is kept; default: streamer.db in STREAMER_HOME")
    listen: str = Field("127.0.0.1:4280", description="address of page, metrics and health")
    access: AccessSettings = Field(default_factory=AccessSettings, description="`[access]` table: who may ask")
    linger: Duration = Field(
        timedelta(0),
        le=timedelta(seconds=10),
        description="how long an event waits to be committed with others",
    )
    since: Duration = Field(timedelta(hours=24), description="history that the first start reads")
    resync: Duration = Field(timedelta(minutes=5), description="how often runs are compared with the server's")
    audits: list[Annotated[Duration, Field(ge=timedelta(seconds=5))]] = Field(
        [timedelta(microseconds=age) for age, _ in AGES],
        min_length=1,
        description="ages at which events are counted again",
    )
    select: Selection = Field(default_factory=Selection, description="globs: flows, deployments, work_pools, tags")
    sinks: dict[str, SinkSettings] = Field(default_factory=dict, description="`[sinks.NAME]` tables")
    sink: list[str] = Field(default_factory=list, description="sinks given as specs")
    routes: list[Route] = Field(default_factory=list, description="`[[routes]]` tables: what goes to which sinks")
    redact: Redaction = Field(default_factory=Redaction, description="`[redact]` table: what no sink may see")
    alerts: dict[str, AnyRule] = Field(default_factory=dict, description="`[alerts.NAME]` tables: rules")
    push: dict[str, PushSettings] = Field(default_factory=dict, description="`[push.NAME]` tables")
    metrics: MetricsSettings = Field(default_factory=MetricsSettings, description="`[metrics]` table")
    retention: RetentionSettings = Field(default_factory=RetentionSettings, description="`[retention]` table")
    liveness: LivenessSettings = Field(default_factory=LivenessSettings, description="`[liveness]` table")
    dead_man: DeadManSettings = Field(default_factory=DeadManSettings, description="`[dead_man]` table")
    log_format: LogFormat = Field(LogFormat.AUTO, description="auto, console or json")
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="least level that is logged")
    grace: Duration = Field(timedelta(seconds=20), description="how long a stop waits for sinks")

    @field_validator("listen")
    @classmethod
    def _is_address(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if not host or not port.isdigit() or int(port) > 65535:
            raise ValueError(f"{value!r} is no HOST:PORT")
        return value

    @property
    def listen_address(self) -> tuple[str, int]:
        """Return host and port; port 0 takes a free one."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)

    @model_validator(mode="after")
    def _are_apart(self) -> Self:
        places = [each.api_url for each in self.each_source]
        if twice := [each for each in places if places.count(each) > 1]:
            raise ValueError(f"two of the sources are {twice[0]}: its events would be there twice")
        return self

    @property
    def each_source(self) -> list[Self]:
        """Return the settings as each source goes by them: those of `[sources]`, or the one that is set outside."""
        return [self._as_of(name, each) for name, each in self.sources.items()] or [self]

    @property
    def source_names(self) -> list[str]:
        """Return what the sources are called in records and metrics."""
        return list(self.sources) or [self.source]

    def _as_of(self, name: str, source: SourceSettings) -> Self:
        own = ServerSettings.model_fields.keys() - (SHARED - source.model_fields_set)
        return self.model_copy(update={"source": name, **{field: getattr(source, field) for field in own}})

    @property
    def surroundings(self) -> Surroundings:
        """Return what the settings tell of the surroundings of a sink: where the sources' APIs and pages are."""
        sources = self.each_source
        return Surroundings(
            {each.source: each.api_url for each in sources}, {each.source: each.page for each in sources}
        )

    @property
    def place(self) -> Place:
        """Return where the store is."""
        return place_of(self.store) if self.store.startswith(_DATABASES) else FilePlace(self.store_path)

    @property
    def store_path(self) -> Path:
        """Return the store's file; URLs are written as SQLAlchemy writes them."""
        if not self.store:
            return home() / "streamer.db"
        if self.store.startswith(_DATABASES):
            hint = "use PostgreSQL's own tools, such as pg_dump and pg_restore, or give a store of SQLite"
            raise ConfigError("this is for a store in a file, and the store is in PostgreSQL", hint)
        if not self.store.startswith("sqlite:///"):
            kind = self.store.partition(":")[0]
            hint = "use sqlite:///relative.db, sqlite:////abs, or postgresql://user@host/database"
            raise ConfigError(f"store {kind!r} is none we know", hint)
        return Path(self.store.removeprefix("sqlite:///").partition("?")[0]).expanduser().resolve()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return where settings come from, strongest first."""
        return (
            init_settings,
            env_settings,
            _Found(settings_cls, find_and_read(cls.config_file or _config_from_environment(), home())),
            _Found(settings_cls, prefect_settings.from_environment(os.environ)),
            _Profile(settings_cls, prefect_settings.from_profile(os.environ)),
        )


class _Found(PydanticBaseSettingsSource):
    """Settings that were read elsewhere; a secret that a stronger source gives, or gives the file of, is left out."""

    def __init__(self, settings_cls: type[BaseSettings], values: Mapping[str, Any]) -> None:
        super().__init__(settings_cls)
        self._values = values

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        return self._values.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return {key: value for key, value in self._values.items() if _OTHER_FORM.get(key) not in self.current_state}


class _Profile(_Found):
    """Prefect's active profile. Its credentials are for its own server: for another one they stay where they are."""

    def __call__(self) -> dict[str, Any]:
        chosen, found = self.current_state.get("api_url"), super().__call__()
        if chosen and chosen.rstrip("/") != str(self._values.get("api_url", "")).rstrip("/"):
            return {key: value for key, value in found.items() if key not in prefect_settings.CREDENTIALS}
        return found


def load(config: Path | None = None, **flags: Any) -> Settings:
    """Return the settings, these flags over all else; raise `ConfigError` with a sentence for each that is wrong."""
    _refuse_unknown_variables(os.environ)
    chosen: type[Settings] = type("Settings", (Settings,), {"config_file": config})
    try:
        settings = chosen(**{key: value for key, value in flags.items() if value is not None})
    except ValidationError as error:
        raise ConfigError("; ".join(_sentence(each) for each in error.errors())) from None
    except SettingsError as error:
        field = str(error).partition('"')[2].partition('"')[0]
        hint = 'lists and tables are JSON there, such as ["a", "b"] or {"name": "value"}'
        raise ConfigError(f"the environment's STREAMER_{field.upper()} is no JSON", hint) from None
    if flags.get("api_url") and settings.sources:
        raise ConfigError("--api-url names one server, and [sources] several", hint="leave out one of the two")
    return settings


def rules_in(file: Path) -> Mapping[str, Rule]:
    """Return the rules of a configuration, whatever else is in it; raise `ConfigError` as `load` does."""
    try:
        return only(alerts=find_and_read(file, home()).get("alerts", {})).alerts
    except ValidationError as error:
        raise ConfigError("; ".join(_sentence(each) for each in error.errors())) from None


def only(**values: Any) -> Settings:
    """Return settings of these values and defaults, deaf to environment and files: for demo and tests."""
    return _Isolated(**values)


class _Isolated(Settings):
    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_: Any, **__: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def home() -> Path:
    """Return the folder for store and configuration."""
    return Path(os.environ.get("STREAMER_HOME") or "~/.streamer").expanduser()


def _config_from_environment() -> Path | None:
    given = os.environ.get("STREAMER_CONFIG")
    return Path(given).expanduser() if given else None


def _refuse_unknown_variables(environment: Iterable[str]) -> None:
    known = {f"STREAMER_{field.upper()}" for field in Settings.model_fields} | {"STREAMER_HOME", "STREAMER_CONFIG"}
    for name in environment:
        if name.startswith("STREAMER_") and name.partition("__")[0] not in known and not _KUBERNETES.match(name):
            raise ConfigError(f"the environment variable {name} is no setting", hint=_nearest(name, known))


def _sentence(error: Any) -> str:
    path = ".".join(str(part) for part in error["loc"])
    if error["type"].startswith("union_tag"):
        return f"{path}.on says which kind of rule it is: {', '.join(KINDS)}"
    if error["type"] != "extra_forbidden":
        return f"{path}: {error['msg'].removeprefix('Value error, ')}"
    known: Mapping[str, Any] = Settings.model_fields
    for part in error["loc"][:-1]:
        annotation = known[part].annotation if part in known else None
        known = getattr(KINDS.get(part, annotation), "model_fields", {})
    return f"{path} is no setting" + (f" ({hint})" if (hint := _nearest(str(error["loc"][-1]), known)) else "")


def _nearest(name: str, known: Iterable[str]) -> str | None:
    near = get_close_matches(name, list(known), n=1)
    return f"did you mean {near[0]}?" if near else None
