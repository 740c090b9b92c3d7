"""`streamer.toml`: where it is looked for, and what is wrong with it."""

import tomllib
from pathlib import Path
from typing import Any

from streamer.errors import ConfigError

NAME = "streamer.toml"


def find_and_read(given: Path | None, home: Path) -> dict[str, Any]:
    """Return the content of the given file, or of the first of `./streamer.toml` and the one in our home."""
    if given:
        return _read(given)
    for candidate in (Path(NAME), home / NAME):
        if candidate.is_file():
            return _read(candidate)
    return {}


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"cannot read {path}: {error.strerror}", hint="is the path of the configuration right?"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no valid TOML: {error}") from error
