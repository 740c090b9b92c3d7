"""Sample flows, run by the demo and the tests in a process of their own: `python flows.py [direct]`.

They complete, fail, retry, nest, pause and use a custom state; on a worker one completes and one is killed, since
only a worker notices that a process died: a direct call that dies never becomes Crashed. `direct` leaves these two out.
The interpreter needs a Prefect, of any version 3, and not streamer: nothing of it is imported here.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from uuid import UUID

from prefect import flow, get_client, pause_flow_run, resume_flow_run, task
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import State
from prefect.deployments import run_deployment
from prefect.runtime import flow_run
from prefect.states import Completed

POOL = "demo-pool"


@task
def extract() -> list[int]:
    """Return some rows."""
    return [1, 2, 3]


@flow
def clean(rows: list[int]) -> list[int]:
    """Be the subflow of `etl`."""
    return [row for row in rows if row > 1]


@flow
def etl() -> int:
    """Complete, with a task and a subflow."""
    return len(clean(extract()))


@flow
def report() -> None:
    """Fail."""
    raise ValueError("no figures for the 3rd quarter ✗\n(second line)")


@flow(retries=1, retry_delay_seconds=1)
def flaky() -> str:
    """Fail once, then complete."""
    if flow_run.run_count < 2:
        raise ConnectionError("the warehouse does not answer")
    return "second time lucky"


@flow
def quality() -> State[None]:
    """End in a state with a name of its own."""
    return Completed(name="All Good (warn)", message="3 rows dropped")


@flow
async def approval() -> str:
    """Pause until someone resumes it: here, a task of its own."""
    resuming = asyncio.create_task(_resume(UUID(flow_run.id)))
    await pause_flow_run(timeout=60, poll_interval=1)
    await resuming
    return "approved"


@flow
def doomed() -> None:
    """Die without a word, as when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


async def _resume(run: UUID) -> None:
    async with get_client() as client:
        while (await client.read_flow_run(run)).state_name != "Paused":  # noqa: ASYNC110 - it is in another process
            await asyncio.sleep(0.2)
    await resume_flow_run(run)


async def deploy() -> None:
    """Make a process work pool and two deployments, and ask for a run of each."""
    async with get_client() as client:
        await client.create_work_pool(WorkPoolCreate(name=POOL, type="process"), overwrite=True)  # or the worker has
    here = Path(__file__)
    for name in ("etl", "doomed"):
        source = await flow.from_source(source=str(here.parent), entrypoint=f"{here.name}:{name}")
        await source.deploy(
            name=f"{name}-nightly", work_pool_name=POOL, tags=["demo", "owner:data.team"], print_next_steps=False
        )
        await run_deployment(f"{name}/{name}-nightly", timeout=0)


def run_directly() -> None:
    """Call the other flows as functions."""
    etl()
    report(return_state=True)
    flaky()
    quality(return_state=True)
    asyncio.run(approval())


if __name__ == "__main__":
    if sys.argv[1:] != ["direct"]:
        asyncio.run(deploy())
    run_directly()
