"""Settings: which of several wins, what is refused and how it is said, and that secrets stay where they are."""

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from streamer import config
from streamer.config import Settings
from streamer.connecting import connection_of
from streamer.errors import ConfigError
from streamer.logs import LogFormat

PROFILE_URL = "https://profile.example/api"
SECRET = "hunter2-unlikely"


class Place:
    """A folder to run in, with nobody's environment and homes of its own."""

    def __init__(self, folder: Path, environment: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._environment = environment

    def env(self, **variables: str) -> None:
        for name, value in variables.items():
            self._environment.setenv(name, value)

    def toml(self, text: str, *, name: str = "streamer.toml") -> Path:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def profile(self, **variables: str) -> None:
        values = {"PREFECT_API_URL": PROFILE_URL, **variables}
        lines = [f"{name} = '{value}'" for name, value in values.items()]
        text = "\n".join(['active = "mine"', "[profiles.mine]", *lines, "[profiles.other]"])
        self.toml(text, name="home/.prefect/profiles.toml")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    for name in list(os.environ):
        if name.upper().startswith(("STREAMER_", "PREFECT_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("STREAMER_HOME", str(tmp_path / "streamer"))
    monkeypatch.chdir(tmp_path)
    return Place(tmp_path, monkeypatch)


def refusal(file: Path | None = None, **flags: Any) -> str:
    """Return message and hint of the refusal that loading these settings meets."""
    with pytest.raises(ConfigError) as caught:
        _ = config.load(file, **flags).store_path
    return f"{caught.value} | {caught.value.hint or ''}"


def key(settings: Settings) -> str | None:
    return connection_of(settings).api_key()


def test_without_anything_all_is_default(place: Place) -> None:
    settings = config.load()
    assert settings.api_url == "http://127.0.0.1:4200/api"
    assert settings.store_path == place.folder / "streamer/streamer.db"
    assert settings.listen_address == ("127.0.0.1", 4280)
    assert (settings.since, settings.sink, settings.log_format) == (timedelta(hours=24), [], LogFormat.AUTO)


def test_the_profile_beats_the_default(place: Place) -> None:
    place.profile()
    assert config.load().api_url == PROFILE_URL


def test_prefects_environment_beats_the_profile(place: Place) -> None:
    place.profile()
    place.env(PREFECT_API_URL="https://prefect.example/api")
    assert config.load().api_url == "https://prefect.example/api"


def test_toml_beats_prefects_environment(place: Place) -> None:
    place.env(PREFECT_API_URL="https://prefect.example/api")
    place.toml('api_url = "https://toml.example/api"')
    assert config.load().api_url == "https://toml.example/api"


def test_our_environment_beats_toml(place: Place) -> None:
    place.toml('api_url = "https://toml.example/api"')
    place.env(STREAMER_API_URL="https://ours.example/api")
    assert config.load().api_url == "https://ours.example/api"


def test_a_flag_beats_our_environment(place: Place) -> None:
    place.env(STREAMER_API_URL="https://ours.example/api")
    assert config.load(api_url="https://flag.example/api").api_url == "https://flag.example/api"


def test_a_flag_that_was_not_given_and_an_empty_variable_leave_the_setting_alone(place: Place) -> None:
    place.toml('api_url = "https://toml.example/api"')
    place.env(STREAMER_API_URL="", PREFECT_API_KEY="")
    settings = config.load(api_url=None)
    assert (settings.api_url, settings.api_key) == ("https://toml.example/api", None)


def test_the_given_file_beats_the_folders_which_beats_the_homes(place: Place) -> None:
    place.toml('source = "home"', name="streamer/streamer.toml")
    assert config.load().source == "home"
    place.toml('source = "folder"')
    assert config.load().source == "folder"
    place.env(STREAMER_CONFIG=str(place.toml('source = "variable"', name="variable.toml")))
    assert config.load().source == "variable"
    assert config.load(place.toml('source = "given"', name="given.toml")).source == "given"


def test_only_is_deaf_to_environment_files_and_profile(place: Place) -> None:
    place.env(STREAMER_SOURCE="env", STREAMER_NONSENSE="1", PREFECT_API_KEY="env")
    place.toml('source = "toml"')
    place.profile(PREFECT_API_KEY="profile")
    settings = config.only(log_level="DEBUG")
    assert (settings.source, settings.api_key, settings.log_level) == ("default", None, "DEBUG")
    assert settings.api_url == "http://127.0.0.1:4200/api"


def test_prefects_own_variables_are_understood(place: Place) -> None:
    place.env(
        PREFECT_API_KEY="pnu_1",
        PREFECT_API_AUTH_STRING="admin:pw",
        PREFECT_API_SSL_CERT_FILE="/etc/ca.pem",
        PREFECT_API_TLS_INSECURE_SKIP_VERIFY="true",
        PREFECT_CLIENT_CUSTOM_HEADERS='{"X-Team": "data"}',
    )
    settings = config.load()
    assert settings.api_key
    assert settings.auth_string
    assert (settings.api_key.get_secret_value(), settings.auth_string.get_secret_value()) == ("pnu_1", "admin:pw")
    assert (settings.ssl_cert_file, settings.tls_insecure_skip_verify) == (Path("/etc/ca.pem"), True)
    assert settings.custom_headers["X-Team"].get_secret_value() == "data"


@pytest.mark.parametrize("text", [f"X-Team={SECRET}", f'["{SECRET}"]'])
def test_prefects_headers_that_are_no_object_are_refused(place: Place, text: str) -> None:
    place.env(PREFECT_CLIENT_CUSTOM_HEADERS=text)
    said = refusal()
    assert "PREFECT_CLIENT_CUSTOM_HEADERS" in said
    assert SECRET not in said


def test_the_profile_brings_its_credentials_to_its_own_server(place: Place) -> None:
    place.profile(PREFECT_API_KEY=SECRET)
    assert key(config.load()) == SECRET
    assert key(config.load(api_url=PROFILE_URL + "/")) == SECRET


def test_the_profiles_credentials_are_not_for_another_server(place: Place) -> None:
    place.profile(PREFECT_API_KEY=SECRET, PREFECT_API_AUTH_STRING=SECRET, PREFECT_CLIENT_CUSTOM_HEADERS='{"X": "1"}')
    connection = connection_of(config.load(api_url="http://another.example/api"))
    assert (connection.token(), connection.all_headers()) == (None, {})


def test_another_profile_can_be_chosen(place: Place) -> None:
    place.profile()
    place.env(PREFECT_PROFILE="other")
    assert config.load().api_url == "http://127.0.0.1:4200/api"


def test_a_broken_profile_is_as_if_there_were_none(place: Place) -> None:
    place.toml("active = [", name="home/.prefect/profiles.toml")
    assert config.load().api_url == "http://127.0.0.1:4200/api"


@pytest.mark.parametrize("setting", ["api_key", "auth_string"])
def test_a_secret_may_stand_in_a_file(place: Place, setting: str) -> None:
    file = place.toml(f"{SECRET}\n", name="secret")
    place.env(**{f"STREAMER_{setting.upper()}_FILE": str(file)})
    assert connection_of(config.load()).token() == SECRET


@pytest.mark.parametrize("setting", ["api_key", "auth_string"])
def test_a_stronger_secret_beats_a_weaker_file_and_the_other_way_round(place: Place, setting: str) -> None:
    file = place.toml("from the file", name="secret")
    place.toml(f'{setting}_file = "{file}"')
    place.env(**{f"STREAMER_{setting.upper()}": "from the environment"})
    assert connection_of(config.load()).token() == "from the environment"
    place.toml(f'{setting} = "from toml"')
    place.env(**{f"STREAMER_{setting.upper()}": "", f"STREAMER_{setting.upper()}_FILE": str(file)})
    assert connection_of(config.load()).token() == "from the file"


def test_secrets_are_not_shown(place: Place) -> None:
    place.env(STREAMER_API_KEY=SECRET, STREAMER_AUTH_STRING=f"me:{SECRET}")
    place.toml(f'[custom_headers]\nX-Token = "{SECRET}"')
    settings = config.load()
    for shown in (repr(settings), str(settings), settings.model_dump_json(), str(settings.model_dump())):
        assert SECRET not in shown


@pytest.mark.parametrize(
    "variables",
    [
        {"STREAMER_API_URL": f"https://me:{SECRET}@host/api"},
        {"STREAMER_API_URL": f"ftp://me:{SECRET}@host/api"},
        {"STREAMER_STORE": f"postgresql://me:{SECRET}@host/db"},
        {"STREAMER_CUSTOM_HEADERS": f"X-Token={SECRET}"},
        {"STREAMER_CUSTOM_HEADERS": f'{{"X-Token": ["{SECRET}"]}}'},
    ],
)
def test_a_refusal_does_not_repeat_a_secret(place: Place, variables: dict[str, str]) -> None:
    place.env(**variables)
    assert SECRET not in refusal()


def test_an_unknown_key_in_toml_is_refused_with_the_nearest_known_one(place: Place) -> None:
    place.toml('api_ulr = "http://host/api"')
    assert refusal().startswith("api_ulr is no setting (did you mean api_url?)")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[metrics]\nseries_limt = 3", "metrics.series_limt is no setting (did you mean series_limit?)"),
        ('[select]\nflow = ["etl"]', "select.flow is no setting (did you mean flows?)"),
    ],
)
def test_an_unknown_nested_key_is_refused_with_the_nearest_known_one(place: Place, text: str, said: str) -> None:
    place.toml(text)
    assert refusal().startswith(said)


def test_two_mistakes_are_told_at_once(place: Place) -> None:
    place.toml('api_ulr = "x"\nlisten = "nowhere"')
    assert re.match(r"listen: .* is no HOST:PORT; api_ulr is no setting", refusal())


def test_an_unknown_variable_is_refused_with_the_nearest_known_one(place: Place) -> None:
    place.env(STREAMER_APIURL="http://host/api")
    assert refusal() == "the environment variable STREAMER_APIURL is no setting | did you mean STREAMER_API_URL?"


def test_an_unknown_nested_variable_is_refused_with_the_nearest_known_one(place: Place) -> None:
    place.env(STREAMER_METRICS__SERIES_LIMT="3")
    assert refusal().startswith("metrics.series_limt is no setting (did you mean series_limit?)")


def test_what_kubernetes_sets_for_a_service_named_streamer_is_passed_over(place: Place) -> None:
    place.env(
        STREAMER_SERVICE_HOST="10.0.0.1",
        STREAMER_SERVICE_PORT_HTTP="4280",
        STREAMER_PORT="tcp://10.0.0.1:4280",
        STREAMER_PORT_4280_TCP="tcp://10.0.0.1:4280",
    )
    assert config.load().listen == "127.0.0.1:4280"


def test_a_syntax_error_in_toml_names_file_and_line(place: Place) -> None:
    file = place.toml('source = "a"\nstore =\n')
    assert re.match(rf"{file.name} is no valid TOML: .*line 2", refusal())


def test_a_configuration_that_is_not_there_is_refused(place: Place) -> None:
    assert "cannot read missing.toml: No such file" in refusal(Path("missing.toml"))


def test_a_configuration_that_is_no_text_is_refused(place: Place) -> None:
    (place.folder / "streamer.toml").write_bytes(b"\xff\xfe")
    assert refusal().startswith("streamer.toml is no valid TOML")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("100ms", timedelta(milliseconds=100)),
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("24h", timedelta(hours=24)),
        ("1.5 h", timedelta(minutes=90)),
        ("7d", timedelta(days=7)),
        ("2w", timedelta(weeks=2)),
        ("PT30M", timedelta(minutes=30)),
    ],
)
def test_durations_have_units(place: Place, text: str, value: timedelta) -> None:
    assert config.load(since=text).since == value


@pytest.mark.parametrize("text", ["yesterday", "5 parsecs", "h", ""])
def test_other_durations_are_refused(place: Place, text: str) -> None:
    assert refusal(since=text).startswith("since: ")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0.0.0.0:80", ("0.0.0.0", 80)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:4280", ("::1", 4280)),
    ],
)
def test_an_address_to_listen_on_has_host_and_port(place: Place, text: str, address: tuple[str, int]) -> None:
    assert config.load(listen=text).listen_address == address


@pytest.mark.parametrize("text", ["4280", ":4280", "host:", "host:http", "host:65536"])
def test_other_addresses_are_refused(place: Place, text: str) -> None:
    assert refusal(listen=text).startswith(f"listen: {text!r} is no HOST:PORT")


@pytest.mark.parametrize("text", ["127.0.0.1:4200/api", "ws://host/api", "https://", ""])
def test_an_api_is_reached_over_http_or_https(place: Place, text: str) -> None:
    assert refusal(api_url=text).startswith("api_url: ")


def test_a_slash_at_the_end_of_the_api_does_not_matter(place: Place) -> None:
    assert config.load(api_url="https://host/api/").api_url == "https://host/api"


def test_store_urls_are_relative_absolute_or_at_home(place: Place) -> None:
    assert config.load(store="sqlite:///a/b.db").store_path == place.folder / "a/b.db"
    assert config.load(store="sqlite:////var/lib/b.db").store_path == Path("/var/lib/b.db")
    assert config.load(store="sqlite:///~/b.db").store_path == place.folder / "home/b.db"


@pytest.mark.parametrize("store", ["/var/lib/streamer.db", "mysql://host/db", "sqlite://host/b.db"])
def test_other_stores_are_refused_with_a_hint(place: Place, store: str) -> None:
    assert refusal(store=store).endswith(
        "is none we know | use sqlite:///relative.db, sqlite:////abs, or postgresql://user@host/database"
    )


def test_sinks_in_toml_have_a_type_a_start_and_options_of_their_own(place: Place) -> None:
    place.toml('[sinks.archive]\ntype = "jsonl"\nstart = "oldest"\npath = "a.jsonl"')
    archive = config.load().sinks["archive"]
    assert (archive.type, archive.start, archive.options) == ("jsonl", "oldest", {"path": "a.jsonl"})


@pytest.mark.parametrize(
    ("text", "said"), [('path = "a"', "sinks.archive.type: "), ('type = "jsonl"\nstart = "now"', "sinks.archive.start")]
)
def test_a_sink_without_a_type_or_with_another_start_is_refused(place: Place, text: str, said: str) -> None:
    place.toml(f"[sinks.archive]\n{text}")
    assert refusal().startswith(said)


def test_lists_and_tables_in_the_environment_are_json(place: Place) -> None:
    place.env(STREAMER_SINK='["stdout:"]', STREAMER_SELECT__FLOWS='["etl-*"]', STREAMER_METRICS__SERIES_LIMIT="7")
    settings = config.load()
    assert (settings.sink, settings.select.flows, settings.metrics.series_limit) == (["stdout:"], ("etl-*",), 7)


@pytest.mark.parametrize("name", ["STREAMER_SINK", "STREAMER_SELECT__FLOWS"])
def test_a_list_in_the_environment_that_is_no_json_is_refused_with_a_hint(place: Place, name: str) -> None:
    place.env(**{name: "stdout:"})
    said = refusal()
    assert said.startswith(f"the environment's {name.partition('__')[0]} is no JSON | ")
    assert orjson.loads(re.findall(r"\[.*?\]", said)[0])


@pytest.mark.parametrize("flags", [{"log_level": "LOUD"}, {"log_format": "xml"}, {"metrics": {"series_limit": 0}}])
def test_values_out_of_range_are_refused_by_name(place: Place, flags: dict[str, Any]) -> None:
    assert refusal(**flags).startswith(next(iter(flags)))


def test_settings_do_not_change(place: Place) -> None:
    with pytest.raises(ValueError, match="frozen"):
        config.load().source = "another"  # type: ignore[misc]  # the mistake under test
