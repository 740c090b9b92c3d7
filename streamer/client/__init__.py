"""What a notebook asks of runs: of the local store, or of a running service.

>>> from streamer.client import Client
>>> Client()["etl"].latest_run  # doctest: +SKIP
FlowRun('etl/crimson-fox', Completed)
"""

from streamer.client.artifacts import Artifact, Data
from streamer.client.client import Client
from streamer.client.errors import Ambiguous, InspectionError, NotFound, OutsideNamespace
from streamer.client.flow import Deployment, Flow
from streamer.client.flow_run import Code, FlowRun
from streamer.client.local import LocalProvider
from streamer.client.logs import FlowRunLog
from streamer.client.places import (
    default_metadata,
    default_namespace,
    get_metadata,
    get_namespace,
    metadata,
    namespace,
)
from streamer.client.providers import Provider
from streamer.client.remote import RemoteProvider
from streamer.client.states import Failure, State, Transition
from streamer.client.task_run import TaskRun
from streamer.client.view import FlowRunView, FlowView, TaskRunView

__all__ = [
    "Ambiguous",
    "Artifact",
    "Client",
    "Code",
    "Data",
    "Deployment",
    "Failure",
    "Flow",
    "FlowRun",
    "FlowRunLog",
    "FlowRunView",
    "FlowView",
    "InspectionError",
    "LocalProvider",
    "NotFound",
    "OutsideNamespace",
    "Provider",
    "RemoteProvider",
    "State",
    "TaskRun",
    "TaskRunView",
    "Transition",
    "default_metadata",
    "default_namespace",
    "get_metadata",
    "get_namespace",
    "metadata",
    "namespace",
]
