"""Options of a sink that looks around: they take the `Surroundings` from the validation's context."""

from typing import Any

from pydantic import BaseModel, PrivateAttr

from streamer.surroundings import Surroundings


class Surrounded(BaseModel):
    """Options that know their surroundings."""

    _surroundings: Surroundings = PrivateAttr(default_factory=Surroundings)

    def model_post_init(self, context: Any, /) -> None:
        """Take what the context has."""
        if found := (context or {}).get("surroundings"):
            self._surroundings = found

    @property
    def surroundings(self) -> Surroundings:
        """Return what may be asked about, beyond the records."""
        return self._surroundings
