"""A library's warning is kept as a reason while somebody listens, and goes its usual way otherwise."""

import logging

import pytest

from streamer.push.library_log import overheard

LOGGER = logging.getLogger("library.of.somebody")


def test_a_warning_is_kept_while_somebody_listens_and_not_after(caplog: pytest.LogCaptureFixture) -> None:
    with overheard(LOGGER.name) as said:
        LOGGER.warning("no route to %s", "host")
        assert (said.last, caplog.messages) == ("no route to host", [])
    LOGGER.warning("later")
    assert (said.last, caplog.messages) == ("no route to host", ["later"])


def test_it_goes_its_usual_way_again_after_an_error(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(OSError, match="broken"), overheard(LOGGER.name):
        raise OSError("broken")
    LOGGER.warning("later")
    assert caplog.messages == ["later"]
