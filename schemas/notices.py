"""Notices as we make them; the id follows from what is said, so that saying it again adds nothing."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from schemas.event import FLOW_RUN_PREFIX
from schemas.ours import NOTICE_PREFIX, Notice, NoticeAbout

_NAMESPACE = UUID("5f0c1c4e-6a0a-4d5b-9d0e-5d1f6a3b7c21")


def deleted(source: str, run: UUID, *, occurred: datetime) -> Notice:
    """Say that a run is gone from the server; its history stays."""
    return _notice(NoticeAbout.DELETED, "the run was deleted from the server", source, _of_run(run), occurred)


def phantom(source: str, run: UUID, event: UUID, *, occurred: datetime) -> Notice:
    """Say that a state was announced, and rolled back; `occurred` is the event's, so that both are counted, or none."""
    text = f"the state {event} was announced, but the run never had it"
    return _notice(NoticeAbout.PHANTOM, text, source, _of_run(run), occurred, key=event, event=event)


def gap(source: str, start: datetime, end: datetime, *, occurred: datetime) -> Notice:
    """Say that the server no longer has the events between two times, and that we never had."""
    text = (
        f"what occurred from {start.isoformat()} to {end.isoformat()} was not read in time, and the server no longer"
        " keeps it; transitions are rebuilt from the states of the runs it still has"
    )
    return _notice(NoticeAbout.GAP, text, source, _of_source(source), occurred, key=start, start=start, end=end)


def expired(source: str, sink: str, records: int, up_to: int, *, occurred: datetime) -> Notice:
    """Say that so many records up to a `seq` were pruned before a sink had them."""
    text = f"{records} records were pruned before the sink {sink} had them: the store is at its size limit"
    about = NoticeAbout.EXPIRED
    return _notice(about, text, source, _of_sink(sink), occurred, key=up_to, sink=sink, records=records)


def reset(source: str, gone: int, known: int, *, occurred: datetime) -> Notice:
    """Say that most runs are gone from the server; once a day."""
    text = f"{gone} of {known} runs are gone from the server at once: was its database reset? Nothing was concluded"
    return _notice(NoticeAbout.RESET, text, source, _of_source(source), occurred, key=occurred.date())


def test(source: str, sink: str, trial: UUID, *, occurred: datetime) -> Notice:
    """Say that this is a test of a sink, and nothing has happened; each trial has an id of its own."""
    text = f"a test of the sink {sink}: nothing has happened"
    return _notice(NoticeAbout.TEST, text, source, _of_sink(sink), occurred, key=trial, sink=sink)


def _notice(
    about: NoticeAbout, text: str, source: str, subject: str, occurred: datetime, *, key: object = "", **more: Any
) -> Notice:
    return Notice.model_validate(
        {
            "id": uuid5(_NAMESPACE, f"{source} {about} {subject} {key}"),
            "occurred": occurred,
            "event": f"{NOTICE_PREFIX}{about}",
            "resource": {"prefect.resource.id": subject},
            "payload": {"notice": {"about": about, "message": text, **more}},
        },
        strict=False,
    )


def _of_run(run: UUID) -> str:
    return f"{FLOW_RUN_PREFIX}{run}"


def _of_sink(sink: str) -> str:
    return f"streamer.sink.{sink}"


def _of_source(source: str) -> str:
    return f"streamer.source.{source}"
