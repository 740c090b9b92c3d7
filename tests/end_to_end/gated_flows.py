"""Flows of which one goes on until a file is there; run beside a server, with the file's name."""

import sys
import time
from pathlib import Path

from prefect import flow, get_run_logger, task


@task
def step(number: int) -> int:
    get_run_logger().warning("step %s", number)
    return number


@flow(flow_run_name="inner")
def load() -> int:
    return 1


@flow(flow_run_name="followed")
def gated(gate: str) -> int:
    get_run_logger().info("begun")
    done = step(1) + load()
    while not Path(gate).exists():
        time.sleep(0.05)
    get_run_logger().info("last words")
    return done


@flow
def report() -> None:
    raise ValueError("no figures")


if __name__ == "__main__":
    report(return_state=True)
    report(return_state=True)
    gated(sys.argv[1])
