"""The one error of this package: bytes that are no valid event, with the reason and the field."""

from enum import StrEnum


class Reason(StrEnum):
    """Why a frame was refused; the label of `prefect_streamer_events_quarantined_total`."""

    JSON = "json"
    SCHEMA = "schema"
    FORGED = "forged"
    OVERSIZE = "oversize"


class InvalidEvent(ValueError):  # noqa: N818 - the name is the public contract
    """Say why a frame is no valid event; `detail` names the field."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
