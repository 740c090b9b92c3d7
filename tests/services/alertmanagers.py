"""Alertmanager as a test's own process, its data in a folder that a test may empty."""

import shutil
from pathlib import Path
from typing import Any

from streamer.demo.server import free_port
from tests import patient
from tests.services.brokers import Broker

CONFIGURATION = """
global: {resolve_timeout: 1h}
route: {receiver: nobody}
receivers: [{name: nobody}]
"""


class Alertmanager:
    """`with Alertmanager(folder) as one:` — it has an `address`, and is asked what it holds."""

    def __init__(self, folder: Path) -> None:
        self._data = folder / "data"
        self._file = folder / "alertmanager.yml"
        folder.mkdir(parents=True, exist_ok=True)
        self._file.write_text(CONFIGURATION)
        port = free_port()
        self.broker = Broker(
            [
                "prometheus-alertmanager",
                f"--config.file={self._file}",
                f"--storage.path={self._data}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--cluster.listen-address=",
            ],
            port,
            folder / "alertmanager.log",
            ready=(b"GET /-/ready HTTP/1.0\r\n\r\n", b" 200 "),
        )

    def __enter__(self) -> "Alertmanager":
        self.broker.__enter__()
        return self

    def __exit__(self, *raised: object) -> None:
        self.broker.__exit__(*raised)

    @property
    def address(self) -> str:
        """Return host and port."""
        return self.broker.address

    def forget(self) -> None:
        """Begin anew, with no data."""
        self.broker.kill()
        shutil.rmtree(self._data)
        self.broker.start()

    async def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts that it holds, those that are over left out."""
        async with patient.async_client() as http:
            found: list[dict[str, Any]] = (
                (await http.get(f"http://{self.address}/api/v2/alerts")).raise_for_status().json()
            )
            return found
