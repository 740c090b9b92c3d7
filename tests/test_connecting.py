"""From settings to a connection: who we say we are, whom we trust, and by which way we go."""

import ssl
from base64 import b64encode
from pathlib import Path
from typing import Any

import certifi
import pytest
from structlog.testing import capture_logs

from streamer import config
from streamer.connecting import connection_of
from streamer.errors import ConfigError
from streamer.source.connection import Connection


def connection(**settings: Any) -> Connection:
    return connection_of(config.only(**settings))


@pytest.fixture
def ca_file(tmp_path: Path) -> Path:
    """One certificate authority, as a company has its own."""
    first = Path(certifi.where()).read_text().partition("-----END CERTIFICATE-----")
    file = tmp_path / "ca.pem"
    file.write_text(first[0] + first[1] + "\n")
    return file


def test_without_credentials_none_are_sent() -> None:
    assert connection().token() is None
    assert connection().all_headers() == {}


def test_a_key_is_a_bearer_token_and_goes_in_band_as_it_is() -> None:
    made = connection(api_key="pnu_1")
    assert made.all_headers() == {"Authorization": "Bearer pnu_1"}
    assert made.token() == "pnu_1"


def test_an_auth_string_is_basic_authorisation_and_goes_in_band_raw() -> None:
    made = connection(auth_string="admin:a b:c")
    assert made.all_headers() == {"Authorization": f"Basic {b64encode(b'admin:a b:c').decode()}"}
    assert made.token() == "admin:a b:c"


def test_of_key_and_auth_string_the_key_wins() -> None:
    made = connection(api_key="pnu_1", auth_string="admin:pw")
    assert (made.token(), made.all_headers()["Authorization"]) == ("pnu_1", "Bearer pnu_1")


@pytest.mark.parametrize("setting", ["api_key_file", "auth_string_file"])
def test_a_secret_file_is_read_at_each_connect(tmp_path: Path, setting: str) -> None:
    file = tmp_path / "secret"
    file.write_text("first\n")
    made = connection(**{setting: file})
    assert made.token() == "first"
    file.write_text("second")
    assert made.token() == "second"


def test_an_empty_secret_file_is_no_secret(tmp_path: Path) -> None:
    (tmp_path / "secret").touch()
    assert connection(api_key_file=tmp_path / "secret").all_headers() == {}


def test_a_secret_file_may_lie_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "secret").write_text("pnu_1")
    assert connection(api_key_file="~/secret").token() == "pnu_1"


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_secret_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "secret"
    if content:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=f"cannot read auth_string_file {file}"):
        connection(auth_string_file=file)


def test_custom_headers_are_sent_beside_the_authorisation() -> None:
    made = connection(api_key="pnu_1", custom_headers={"X-Team": "data"})
    assert made.all_headers() == {"X-Team": "data", "Authorization": "Bearer pnu_1"}


@pytest.mark.parametrize("name", ["Authorization", "HOST", "sec-websocket-key", "Upgrade", "User-Agent"])
def test_headers_of_the_protocol_are_left_out_with_a_warning_that_hides_the_value(name: str) -> None:
    with capture_logs() as logs:
        made = connection(api_key="pnu_1", custom_headers={name: "evil", "X-Team": "data"})
    assert made.all_headers() == {"X-Team": "data", "Authorization": "Bearer pnu_1"}
    assert [entry["header"] for entry in logs] == [name]
    assert "evil" not in str(logs)


def test_credentials_that_the_server_cannot_compare_are_warned_of_but_not_shown() -> None:
    with capture_logs() as logs:
        connection(auth_string="admin:schlüssel")
    assert "not ASCII" in logs[0]["event"]
    assert "schlüssel" not in str(logs)


@pytest.mark.parametrize(
    ("api_url", "websocket_url"),
    [
        ("http://host:4200/api", "ws://host:4200/api/events/out"),
        ("https://host/api/accounts/a/workspaces/w", "wss://host/api/accounts/a/workspaces/w/events/out"),
        ("http://http.example/http/api", "ws://http.example/http/api/events/out"),
    ],
)
def test_the_websocket_is_beside_the_api(api_url: str, websocket_url: str) -> None:
    assert connection(api_url=api_url).websocket_url == websocket_url


def test_https_is_verified_against_the_usual_authorities() -> None:
    tls = connection(api_url="https://host/api").tls
    assert tls
    assert (tls.verify_mode, tls.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert len(tls.get_ca_certs()) > 50


def test_http_needs_no_tls_even_if_told_of_authorities(ca_file: Path) -> None:
    assert connection(api_url="http://host/api", ssl_cert_file=ca_file).tls is None


def test_given_authorities_are_the_only_ones_trusted(ca_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(ca_file.parent))
    tls = connection(api_url="https://host/api", ssl_cert_file="~/ca.pem").tls
    assert tls
    assert len(tls.get_ca_certs()) == 1
    assert tls.verify_mode is ssl.CERT_REQUIRED


def test_verification_can_be_skipped() -> None:
    tls = connection(api_url="https://host/api", tls_insecure_skip_verify=True).tls
    assert tls
    assert (tls.verify_mode, tls.check_hostname) == (ssl.CERT_NONE, False)


@pytest.mark.parametrize("content", [None, "no PEM"])
def test_authorities_that_cannot_be_read_are_named(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content:
        file.write_text(content)
    with pytest.raises(ConfigError, match=f"cannot use ssl_cert_file {file}") as caught:
        connection(api_url="https://host/api", ssl_cert_file=file)
    assert caught.value.hint == "give a PEM file"


@pytest.mark.parametrize(
    ("setting", "proxy", "trust_environment"),
    [(None, None, True), ("none", None, False), ("http://proxy:3128", "http://proxy:3128", False)],
)
def test_a_proxy_is_taken_from_the_environment_or_from_the_setting_or_not_at_all(
    setting: str | None, proxy: str | None, trust_environment: bool
) -> None:
    made = connection(proxy=setting)
    assert (made.proxy, made.trust_proxy_environment) == (proxy, trust_environment)
