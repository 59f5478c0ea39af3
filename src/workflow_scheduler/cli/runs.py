"""`runs ls|show|watch|logs|cancel|rerun`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from workflow_scheduler.cli import options, output, times
from workflow_scheduler.cli.exits import Exit
from workflow_scheduler.cli.files import input_of
from workflow_scheduler.cli.run import Timeout, status_exit, wait_for
from workflow_scheduler.cli.run_view import plain, tell_run
from workflow_scheduler.cli.session import Session, session_of
from workflow_scheduler.client.http import segment
from workflow_scheduler.core.time.clock import SystemClock

app = typer.Typer(help="Runs of workflows.", no_args_is_help=True)
RunId = Annotated[str, typer.Argument(metavar="RUN", help="Id of the run.")]
_BASE = "/api/v1/runs"
_LOOK_SECONDS = 1.0
_LINES = 1_000
_ORIGINS = {
    "cause_run_id": "caused by run",
    "backfill_id": "part of backfill",
    "rerun_of": "repeats run",
    "replay_of": "repeats event",
}


@app.command("ls")
def list_(
    context: typer.Context,
    limit: options.Limit = 50,
    cursor: options.Cursor = None,
    workflow: options.Workflow = None,
    status: Annotated[str | None, typer.Option(help="QUEUED, RUNNING, PAUSED, SUCCEEDED, FAILED or CANCELLED.")] = None,
    trigger_type: Annotated[str | None, typer.Option(help="Only runs that a trigger of this type started.")] = None,
    event: Annotated[str | None, typer.Option(help="Only runs of this event.")] = None,
    backfill: Annotated[str | None, typer.Option(help="Only runs of this backfill.")] = None,
    since: options.Since = None,
    until: options.Until = None,
) -> None:
    """List runs, the newest first."""
    session = session_of(context)
    query = {"workflow": workflow, "status": status.upper() if status else None, "trigger_type": trigger_type,
             "event": event, "backfill": backfill, "since": times.past(since), "until": times.past(until)}  # fmt: skip
    page = session.collect(_BASE, limit, cursor, **query)
    columns = {
        "ID": "id",
        "WORKFLOW": "workflow",
        "STATUS": lambda one: f"{one.get('status')}{' (waits)' if one.get('waiting') else ''}",
        "BY": "trigger_type",
        "CREATED": lambda one: times.short(one.get("created_at")),
        "MS": "duration_ms",
    }
    output.show(session, page, lambda value: output.table(value["items"], columns, "no runs"))


@app.command()
def show(context: typer.Context, run: RunId) -> None:
    """Show a run with its jobs and why it started."""
    session = session_of(context)
    output.show(session, session.client.get(f"{_BASE}/{segment(run)}"), _show)


def _show(run: dict[str, Any]) -> None:
    tell_run(run)
    if run.get("waits_for"):
        output.write(f"It waits for the end of run {', '.join(run['waits_for'])}.")
    cause = run.get("cause")
    if isinstance(cause, dict) and cause.get("summary"):
        output.write(plain(cause["summary"]))
    found = run.get("provenance") or {}
    for name in ("cause_run_id", "backfill_id", "rerun_of", "replay_of"):
        if found.get(name):
            output.write(f"{_ORIGINS[name]} {found[name]}")
    if run.get("status") in {"FAILED", "CANCELLED"}:
        output.write(f"next: workflow-scheduler runs rerun {run['id']} --from-failed")


@app.command()
def watch(context: typer.Context, run: RunId, timeout: Timeout = "1h") -> None:
    """Follow a run to its end: its jobs and what they print. Exit code 1 when it fails, 7 when it takes too long."""
    session = session_of(context)
    clock = SystemClock()
    deadline = clock.monotonic() + times.seconds(timeout)
    follower = _Follower(session, run)
    while True:
        left = max(0.0, min(_LOOK_SECONDS, deadline - clock.monotonic()))
        found = wait_for(session, run, left)
        follower.look(found)
        if found["ended_at"] is not None or clock.monotonic() >= deadline:
            break
    if session.machine:
        output.put({"type": "run", **found}, line=True)
    else:
        output.write(f"{found['workflow']}: {found['status']}")
    raise typer.Exit(status_exit(found))


class _Follower:
    """Writes what is new about a run since it looked last."""

    def __init__(self, session: Session, run_id: str) -> None:
        self._session = session
        self._path = f"{_BASE}/{segment(run_id)}/logs"
        self._cursor: str | None = None
        self._jobs: dict[str, str] = {}

    def look(self, run: dict[str, Any]) -> None:
        for job in run.get("jobs", ()):
            if self._jobs.get(job["id"]) != job["status"]:
                self._jobs[job["id"]] = job["status"]
                self._say({"type": "job", "job": job["id"], "status": job["status"]}, f"{job['id']}: {job['status']}")
        for line in lines(self._session, self._path, self._cursor):
            self._cursor = str(line["seq"])
            self._say({"type": "log", **line}, f"  {line['job']} | {line['line']}")

    def _say(self, value: dict[str, Any], text: str) -> None:
        if self._session.machine:
            output.put(value, line=True)
        else:
            output.write(text)


def lines(session: Session, path: str, cursor: str | None, job: str | None = None) -> list[dict[str, Any]]:
    """Return all log lines after a sequence number.

    Raises:
        SchedulerError: there is no such run, or the service did not answer.

    """
    found: list[dict[str, Any]] = []
    while True:
        page = session.client.get(path, limit=_LINES, cursor=cursor, job=job)
        found += page["items"]
        if page["next"] is None or not page["items"]:
            return found
        cursor = page["next"]


@app.command()
def logs(
    context: typer.Context,
    run: RunId,
    job: Annotated[str | None, typer.Option(help="Only of this job.")] = None,
) -> None:
    """Print what the jobs of a run printed."""
    session = session_of(context)
    found = lines(session, f"{_BASE}/{segment(run)}/logs", None, job)
    output.show(session, {"items": found, "next": None}, _print_lines)


def _print_lines(page: dict[str, Any]) -> None:
    several = len({line["job"] for line in page["items"]}) > 1
    for line in page["items"]:
        output.write(f"{line['job']} | {line['line']}" if several else line["line"])
    if not page["items"]:
        output.note("nothing was printed")


@app.command()
def cancel(
    context: typer.Context,
    run: RunId,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it has stopped.")] = False,
    timeout: Timeout = "1m",
) -> None:
    """Stop a run. Conflict (exit code 5) when it has ended."""
    session = session_of(context)
    found = session.client.post(f"{_BASE}/{segment(run)}/cancel")
    if wait:
        found = wait_for(session, run, times.seconds(timeout))
    output.show(session, found, lambda one: output.write(f"{one['id']}: {one['status']}"))
    if wait and found["ended_at"] is None:
        raise typer.Exit(Exit.TIMED_OUT)


@app.command()
def rerun(
    context: typer.Context,
    run: RunId,
    from_failed: Annotated[
        bool, typer.Option("--from-failed", help="Keep what succeeded; run what failed and what comes after it.")
    ] = False,
    data: Annotated[
        list[str] | None, typer.Option("--data", "-d", metavar="K=V", help="A field of the input to change.")
    ] = None,
    file: Annotated[str | None, typer.Option("--file", "-f", help="Another input, from a JSON or YAML file.")] = None,
    live: Annotated[bool, typer.Option("--live", help="Run the live version instead of the same one.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end; exit code 1 when the run fails.")] = False,
    timeout: Timeout = "5m",
    key: Annotated[str | None, typer.Option("--key", help="Idempotency key: equal keys start one rerun.")] = None,
) -> None:
    """Run an ended run again, as a new run. Conflict (exit code 5) while it is open."""
    session = session_of(context)
    path = f"{_BASE}/{segment(run)}"
    body: dict[str, Any] = {"from_failed": from_failed, "version": "live" if live else "same"}
    if data or file:
        changed = input_of(data or [], file)
        known = session.client.get(path)["input"] if file is None else None
        body["input"] = {**known, **changed} if isinstance(known, dict) else changed
    started = session.client.post(f"{path}/rerun", body, idempotency_key=key)
    if not wait:
        output.show(session, started, _tell_rerun)
        return
    found = wait_for(session, started["run_id"], times.seconds(timeout))
    output.show(session, found, tell_run)
    raise typer.Exit(status_exit(found))


def _tell_rerun(started: dict[str, Any]) -> None:
    output.write(started["run_id"])
    for name, what in (("kept", "keeps"), ("again", "runs again"), ("changed", "changed since")):
        if started[name]:
            output.note(f"{what}: {', '.join(started[name])}")
    output.note(f"follow it: workflow-scheduler runs watch {started['run_id']}")
