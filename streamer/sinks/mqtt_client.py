"""aiomqtt's client, heeding what a broker says beside yes: how much it takes, and why it does not take a message."""

import logging
import sys
from contextlib import suppress
from typing import Any

from aiomqtt import Client, MqttError
from paho.mqtt.reasoncodes import ReasonCode

_SILENT = logging.getLogger("streamer.sinks.mqtt")
_SILENT.disabled = True  # what goes wrong is raised


class PublishingClient(Client):
    """A connection to publish on; `refusal` is the first reason the broker gave for not taking a message.

    aiomqtt itself takes any acknowledgement for a yes, and waits for one on a connection that is gone.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, logger=_SILENT, **options)
        self.pending_calls_threshold = sys.maxsize
        self.largest_packet = 2**28
        self.refusal: ReasonCode | None = None

    async def connect(self) -> None:
        """Connect; raise `MqttError` if that fails."""
        await self.__aenter__()

    async def disconnect(self) -> None:
        """Say goodbye, and take note of how the connection ended: else the event loop complains of it."""
        await self.__aexit__(None, None, None)
        await self.lost()

    async def lost(self) -> None:
        """Return when the connection is lost. Nothing was subscribed to, so no message comes before."""
        with suppress(MqttError):
            await anext(self.messages)

    def _on_connect(self, client: Any, userdata: Any, flags: Any, reason: ReasonCode, properties: Any = None) -> None:
        self.largest_packet = getattr(properties, "MaximumPacketSize", self.largest_packet)
        super()._on_connect(client, userdata, flags, reason, properties)

    def _on_publish(self, client: Any, userdata: Any, mid: int, reason: ReasonCode, properties: Any) -> None:
        if reason.is_failure:
            self.refusal = self.refusal or reason
        super()._on_publish(client, userdata, mid, reason, properties)
