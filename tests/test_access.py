"""The `[access]` table: what is wanted of whom, and that no secret is shown."""

from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from streamer import config
from streamer.access import AccessSettings
from streamer.errors import ConfigError

SECRET = "hunter2-unlikely"


def test_usually_nobody_has_to_prove_who_they_are() -> None:
    usual = AccessSettings()
    assert (usual.is_wanted, usual.tokens(), usual.basics(), usual.cors) == (False, [], [], ())


def test_a_token_is_given_or_read_anew_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f" {SECRET}\n")
    given, read = AccessSettings.model_validate({"token": SECRET}), AccessSettings(token_file=file)
    assert given.tokens() == read.tokens() == [SECRET.encode()]
    file.write_text("rotated")
    assert read.tokens() == [b"rotated"]
    assert given.is_wanted
    assert read.is_wanted


def test_name_and_password_are_as_basic_authorisation_has_them(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("pässword\n", encoding="utf-8")
    settings = AccessSettings(username="ops", password_file=tmp_path / "password")
    assert settings.basics() == [b64encode("ops:pässword".encode())]
    assert (settings.is_wanted, settings.tokens()) == (True, [])


@pytest.mark.parametrize("content", [None, "", " \n"])
def test_a_file_without_a_secret_lets_nobody_in(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)
    settings = AccessSettings(token_file=file)
    with capture_logs():
        assert settings.tokens() == []
    assert settings.is_wanted
    with pytest.raises(ConfigError, match=r"access\.token_file"):
        settings.require_readable()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"token": ""}, "access.token: it is empty"),
        ({"token": " "}, "access.token: it is empty"),
        ({"token": SECRET, "token_file": "x"}, "one of them is enough"),
        ({"password": SECRET}, "username and password belong together"),
        ({"username": "ops"}, "username and password belong together"),
        ({"username": "a:b", "password": SECRET}, "access.username"),
        ({"cors": ["host"]}, "an origin is such as https://host"),
        ({"cors": ["https://host/"]}, "an origin is such as https://host"),
        ({"tokn": SECRET}, "access.tokn is no setting (did you mean token?)"),
    ],
)
def test_what_makes_no_sense_is_refused_and_no_secret_said(
    given: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMER_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        config.load(access=given)
    assert said in f"{caught.value} ({caught.value.hint})"
    assert SECRET not in str(caught.value)


def test_no_secret_is_in_a_repr() -> None:
    settings = config.only(access={"token": SECRET, "username": "ops", "password": SECRET})
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings.access)


def test_the_environment_may_have_the_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STREAMER_HOME", str(tmp_path))
    monkeypatch.setenv("STREAMER_ACCESS__TOKEN", SECRET)
    monkeypatch.chdir(tmp_path)
    assert config.load().access.tokens() == [SECRET.encode()]
