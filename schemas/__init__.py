"""What goes over the wire, as types: Prefect's events, our own events, and the record handed downstream."""

from schemas.alert import Alert
from schemas.decoding import decode
from schemas.errors import InvalidEvent, Reason
from schemas.event import Event, Kind, Party, RelatedResource, Resource
from schemas.flow_run import FlowRunEvent, Heartbeat, Other, PullStep, State, StateType, Transition
from schemas.ours import Notice, Verdict
from schemas.record import downstream, to_json

__all__ = [
    "Alert",
    "Event",
    "FlowRunEvent",
    "Heartbeat",
    "InvalidEvent",
    "Kind",
    "Notice",
    "Other",
    "Party",
    "PullStep",
    "Reason",
    "RelatedResource",
    "Resource",
    "State",
    "StateType",
    "Transition",
    "Verdict",
    "decode",
    "downstream",
    "to_json",
]
