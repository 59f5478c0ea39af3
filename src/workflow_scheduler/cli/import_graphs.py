"""`import wfformat FILE` and its like: workflow graphs of other systems, shown, saved, deployed or run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from workflow_scheduler.cli import files, import_view, output
from workflow_scheduler.cli.deployment import deploy_spec, tell
from workflow_scheduler.cli.exits import Exit
from workflow_scheduler.cli.run import Timeout, status_exit, wait_for
from workflow_scheduler.cli.run_view import tell_run
from workflow_scheduler.cli.session import Session, session_of
from workflow_scheduler.cli.times import seconds
from workflow_scheduler.client.http import segment

File = Annotated[str, typer.Argument(help="The file, or - for standard input.")]
Out = Annotated[str | None, typer.Option("--out", help="Write one definition file for each workflow into this folder.")]
Deploy = Annotated[bool, typer.Option("--deploy", help="Deploy what was read; the service must run.")]
Run = Annotated[bool, typer.Option("--run", help="Deploy it, start one run and wait for its end.")]
Strict = Annotated[bool, typer.Option("--strict", help="Exit code 1, and no deployment, where anything is lost.")]
Scale = Annotated[float, typer.Option("--time-scale", min=0.0, help="Jobs sleep for their task's runtime times this.")]
Parallel = Annotated[int, typer.Option("--max-parallel", min=1, max=10_000, help="Jobs of a run at once.")]


def wfformat(
    context: typer.Context,
    file: File,
    time_scale: Scale = 0.0,
    max_parallel: Parallel = 100,
    out: Out = None,
    deploy: Deploy = False,
    run: Run = False,
    timeout: Timeout = "5m",
) -> None:
    """Import a workflow instance of WfCommons (WfFormat 1.3 to 1.6); its tasks become stub jobs."""
    result = _read("wfformat", file, time_scale=time_scale, max_parallel=max_parallel)
    _carry_out(context, result, out, (deploy, run, False), timeout)


def argo(
    context: typer.Context,
    file: File,
    timezone: Annotated[str, typer.Option("--timezone", help="Of cron workflows that name none (IANA name).")] = "UTC",
    out: Out = None,
    deploy: Deploy = False,
    run: Run = False,
    strict: Strict = False,
    timeout: Timeout = "5m",
) -> None:
    """Import workflows, templates and cron workflows of Argo, with a line for what could not be expressed."""
    _carry_out(context, _read("argo", file, timezone=timezone), out, (deploy, run, strict), timeout)


def github_actions(
    context: typer.Context,
    file: File,
    repository: Annotated[str | None, typer.Option("--repository", help="OWNER/NAME whose events start it.")] = None,
    out: Out = None,
    deploy: Deploy = False,
    run: Run = False,
    strict: Strict = False,
    timeout: Timeout = "5m",
) -> None:
    """Import a workflow of GitHub Actions: its jobs, schedules and events, with what could not be expressed."""
    _carry_out(context, _read("github-actions", file, repository=repository), out, (deploy, run, strict), timeout)


def _read(system: str, file: str, **options: Any) -> dict[str, Any]:
    from workflow_scheduler.core.time.clock import SystemClock
    from workflow_scheduler.services.imports import Options, graphs

    return graphs(system, files.content(file), Options(**options), SystemClock().now())


def _carry_out(
    context: typer.Context, result: dict[str, Any], out: str | None, wanted: tuple[bool, bool, bool], timeout: str
) -> None:
    """Show, save, deploy and run what was read, as `wanted` (deploy, run, strict)."""
    session = session_of(context)
    deploy, run, strict = wanted
    if out is not None:
        import_view.save(result["items"], Path(out))
    failed = not result["items"] or (strict and any(item["lost"] for item in result["items"]))
    if not session.machine:
        import_view.tell(result, written=out is not None or deploy or run)
    if (deploy or run) and not failed:
        result["deployed"] = _deploy(session, result["items"])
    if run and not failed:
        result["run"] = _run(session, result["items"][-1]["name"], timeout)
    if session.machine:
        output.show(session, result, output.put)
    if failed:
        raise typer.Exit(Exit.FAILED)
    if run:
        raise typer.Exit(status_exit(result["run"]))


def _deploy(session: Session, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    done = []
    for item in items:
        done.append(deploy_spec(session, item["name"], item["definition"]))
        if not session.machine:
            tell(session, done[-1])
    return done


def _run(session: Session, name: str, timeout: str) -> dict[str, Any]:
    """Start one run, wait for its end, and return it."""
    path = f"/api/v1/triggers/workflows/{segment(name)}/manual"
    started = session.client.post(path, {"confirm": True})
    if started["run_id"] is None:
        output.note(f"no run was started; why: workflow-scheduler explain {started['event_id']}")
        raise typer.Exit(Exit.FAILED)
    found = wait_for(session, started["run_id"], seconds(timeout))
    if not session.machine:
        tell_run(found)
    return found
