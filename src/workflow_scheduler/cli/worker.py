"""`worker`: a process that takes jobs of an engine elsewhere, without the API and without schedules."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from workflow_scheduler.cli import output
from workflow_scheduler.cli.session import session_of

ROLES = "dispatch,engine"


def worker(
    context: typer.Context,
    engine: Annotated[
        Literal["temporal"], typer.Option(help="The engine whose jobs it takes (WFS_TEMPORAL_ADDRESS).")
    ] = "temporal",
) -> None:
    """Take jobs from the task queue until SIGTERM or Ctrl-C; any number of workers may share one PostgreSQL."""
    from workflow_scheduler.app.work import work
    from workflow_scheduler.settings import load

    session = session_of(context)
    settings = load().model_copy(update={"roles": ROLES})

    def ready(instance: str) -> None:
        if session.machine:
            output.put({"engine": engine, "instance": instance, "queue": settings.temporal_task_queue}, line=True)
        else:
            output.write(f"takes jobs from the task queue `{settings.temporal_task_queue}`")

    raise typer.Exit(work(settings, ready))
