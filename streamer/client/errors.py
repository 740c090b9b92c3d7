"""What may be wrong with a name that is asked for; each tells what to do.

InspectionError
├── NotFound            nothing is called so
├── Ambiguous           several are called so
└── OutsideNamespace    it is there, but not in the namespace
"""

from collections.abc import Sequence

from streamer.errors import StreamerError


class InspectionError(StreamerError):
    """What was asked for cannot be had; a traceback shows the hint below the sentence."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message, hint)
        if hint:
            self.add_note(f"hint: {hint}")

    def __str__(self) -> str:
        return str(self.args[0])


class NotFound(InspectionError, KeyError):  # noqa: N818 - like KeyError's siblings in other clients
    """Nothing is called so."""


class Ambiguous(InspectionError, KeyError):  # noqa: N818
    """Several are called so: `candidates` are the pathspecs or ids that tell them apart."""

    def __init__(self, message: str, hint: str | None = None, *, candidates: Sequence[str] = ()) -> None:
        super().__init__(message, hint)
        self.candidates = tuple(candidates)


class OutsideNamespace(InspectionError, KeyError):  # noqa: N818
    """It is there, but not in the namespace."""
