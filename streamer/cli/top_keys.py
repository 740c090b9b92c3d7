"""Pure: the keys in what a terminal sends."""

import codecs
from collections.abc import Iterator

ESCAPE = "escape"
ENTER = "enter"
BACKSPACE = "backspace"
CLEAR = "clear"

_NAMES = {"\r": ENTER, "\n": ENTER, "\x7f": BACKSPACE, "\b": BACKSPACE, "\x15": CLEAR, "\x1b": ESCAPE}
_INTRODUCERS = "[O"


class Keys:
    """Finds keys in bytes, however these are cut. Those that send a sequence, such as arrows, are passed over."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._rest = ""

    @property
    def is_waiting(self) -> bool:
        """Tell whether the last that came may be the Escape key, or the beginning of a sequence."""
        return bool(self._rest)

    def within(self, sent: bytes) -> Iterator[str]:
        """Yield the keys that are certain: a character each, or a name."""
        text, self._rest = self._rest + self._decoder.decode(sent), ""
        place = 0
        while place < len(text):
            length = _length(text, place)
            if length is None:
                self._rest = text[place:]
                return
            if length == 1:
                yield _NAMES.get(text[place], text[place])
            place += length

    def settled(self) -> Iterator[str]:
        """Yield what is waited for, since nothing has come after it."""
        rest, self._rest = self._rest, ""
        if rest == "\x1b":
            yield ESCAPE


def _length(text: str, place: int) -> int | None:
    """Return how many characters the key at a place has sent, None if there may be more to come."""
    if text[place] != "\x1b":
        return 1
    following = text[place + 1 : place + 2]
    if not following:
        return None
    if following not in _INTRODUCERS:
        return 1
    for end, character in enumerate(text[place + 2 :], place + 2):
        if "@" <= character <= "~":
            return end + 1 - place
    return None
