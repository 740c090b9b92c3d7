"""Flows with all that a client can ask about; run in a process of its own, which has a Prefect and not streamer."""

from prefect import flow, get_run_logger, tags, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact


@task(tags=["slow"])
def step(number: int) -> int:
    create_table_artifact(key="row-counts", table=[{"rows": number}])
    get_run_logger().warning("step %s", number)
    return number


@flow
def load(rows: int) -> int:
    return rows


@flow(version="v7")
def etl(rows: int = 2) -> int:
    get_run_logger().info("begun")
    create_markdown_artifact(key="notes", markdown="# done")
    return load(sum(step(each) for each in range(rows)))


@flow
def report() -> None:
    raise ValueError("no figures for the 3rd quarter ✗\n(second line)")


@flow(retries=1)
def flaky() -> str:
    raise ConnectionError("the warehouse does not answer")


@flow(persist_result=True, result_serializer="json")
def kept() -> dict[str, list[int]]:
    return {"rows": [1, 2]}


@flow(persist_result=True)
def pickled() -> int:
    return 7


if __name__ == "__main__":
    with tags("prod", "team:a"):
        etl()
    etl(rows=1)
    kept()
    pickled()
    report(return_state=True)
    flaky(return_state=True)
    report(return_state=True)
