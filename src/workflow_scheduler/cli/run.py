"""`run`: start a workflow by hand, and wait for its end."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from workflow_scheduler.cli import output
from workflow_scheduler.cli.deployment import Name
from workflow_scheduler.cli.exits import Exit
from workflow_scheduler.cli.files import input_of
from workflow_scheduler.cli.run_view import tell_run
from workflow_scheduler.cli.session import Session, session_of
from workflow_scheduler.cli.times import seconds
from workflow_scheduler.client.http import TIMEOUT_SECONDS, segment
from workflow_scheduler.core.time.clock import SystemClock

_WAIT_MAX = 60.0
Timeout = Annotated[str, typer.Option("--timeout", help="How long to wait: 90s, 15m, 2h.")]


def run(
    context: typer.Context,
    name: Name,
    data: Annotated[list[str] | None, typer.Option("--data", "-d", metavar="K=V", help="A field of the input.")] = None,
    file: Annotated[str | None, typer.Option("--file", "-f", help="Input from a JSON or YAML file.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end; exit code 1 when the run fails.")] = False,
    timeout: Timeout = "5m",
    trigger: Annotated[str | None, typer.Option(help="Name of the manual trigger, if there are several.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Confirm, where the trigger asks for it.")] = False,
    priority: Annotated[str | None, typer.Option(help="low, normal, high, or -100 to 100.")] = None,
    key: Annotated[str | None, typer.Option("--key", help="Idempotency key: equal keys start one run.")] = None,
) -> None:
    """Start one run of a workflow's live version."""
    session = session_of(context)
    body: dict[str, Any] = {"confirm": yes}
    if data or file:
        body["input"] = input_of(data or [], file)
    if trigger is not None:
        body["trigger"] = trigger
    if priority is not None:
        body["priority"] = priority
    path = f"/api/v1/triggers/workflows/{segment(name)}/manual"
    follow(session, session.client.post(path, body, idempotency_key=key), timeout if wait else None)


def follow(session: Session, started: dict[str, Any], patience: str | None) -> None:
    """Show what a start led to; with `patience`, a duration, wait for the end, and exit with its code.

    Raises:
        Exit: no run was started, it failed, or it has not ended in time.

    """
    if started["run_id"] is None:
        output.show(session, started, _refused)
        raise typer.Exit(Exit.FAILED)
    if patience is None:
        output.show(session, started, lambda one: output.write(one["run_id"]))
        if not session.machine:
            output.note(f"follow it: workflow-scheduler runs watch {started['run_id']}")
        return
    found = wait_for(session, started["run_id"], seconds(patience))
    output.show(session, found, tell_run)
    raise typer.Exit(status_exit(found))


def _refused(started: dict[str, Any]) -> None:
    for one in started.get("decisions", ()):
        output.note(f"no run was started: {one['outcome']}, {one['reason']}")
    output.note(f"  why: workflow-scheduler explain {started['event_id']}")


def wait_for(session: Session, run_id: str, most: float) -> dict[str, Any]:
    """Return the run when it has ended, or as it stands after `most` seconds.

    Raises:
        SchedulerError: there is no such run, or the service did not answer.

    """
    clock = SystemClock()
    deadline = clock.monotonic() + most
    while True:
        left = max(0.0, min(_WAIT_MAX, deadline - clock.monotonic()))
        found: dict[str, Any] = session.client.call(
            "GET", f"/api/v1/runs/{segment(run_id)}/wait", query={"timeout": left}, timeout=left + TIMEOUT_SECONDS
        )
        if found["ended_at"] is not None or clock.monotonic() >= deadline:
            return found


def status_exit(run: dict[str, Any]) -> Exit:
    """Return the exit code for how a run stands."""
    if run["ended_at"] is None:
        output.note(f"the run has not ended: {run['status']}; go on with: workflow-scheduler runs watch {run['id']}")
        return Exit.TIMED_OUT
    return Exit.OK if run["status"] == "SUCCEEDED" else Exit.FAILED
