"""What Prometheus' own tools say of `/metrics`."""

import asyncio
import shutil
import subprocess
from pathlib import Path

import pytest

from streamer.testing import FakePrefect, an_event
from tests import patient
from tests.running import RunningService

pytestmark = pytest.mark.services


async def test_promtool_accepts_the_metrics_of_a_running_service(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    assert promtool, "promtool is missing: `make test-services` installs it"
    async with FakePrefect() as server:
        service = RunningService(tmp_path, server.api_url)
        await asyncio.to_thread(service.start)
        server.publish(an_event(), an_event(before="RUNNING", after="COMPLETED"), {"id": "no event"})
        await asyncio.to_thread(service.wait_until, lambda: len(service.ids()) == 2)
        async with patient.async_client() as http:
            text = (await http.get(f"{service.address}/metrics")).text
        await asyncio.to_thread(service.stop)
    assert "prefect_flow_run_transitions_total" in text
    command = [promtool, "check", "metrics"]
    checked = await asyncio.to_thread(subprocess.run, command, input=text, capture_output=True, text=True)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
