"""Flows of a Prefect user, served by a process in Prefect's own environment; our program is not there."""

import time

from prefect import flow, serve
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.flow_runs import pause_flow_run
from prefect.input import RunInput


class Approval(RunInput):
    approved: bool
    note: str = ""


@flow(log_prints=True)
def add(a: int, b: int = 1):
    print(f"adding {a} and {b}")  # noqa: T201 - what a flow prints is its log
    if a < 0:
        raise ValueError("a is negative")
    create_table_artifact(key="sum", table=[{"sum": a + b}])
    create_markdown_artifact(key="words", markdown="*done*")


@flow
def slow():
    for _ in range(3000):
        time.sleep(0.1)


@flow(log_prints=True)
def ask():
    answer = pause_flow_run(wait_for_input=Approval, timeout=600, poll_interval=1)
    create_markdown_artifact(key="answer", markdown=f"{answer.approved} {answer.note}")


@flow
def confirm():
    pause_flow_run(timeout=600, poll_interval=1)


if __name__ == "__main__":
    serve(*(one.to_deployment("test") for one in (add, slow, ask, confirm)))
