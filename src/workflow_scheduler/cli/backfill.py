"""`backfill` and `backfills ls|show|watch|pause|resume|cancel`: running a range of a schedule's times afterwards."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from workflow_scheduler.cli import options, output, times
from workflow_scheduler.cli.exits import Exit
from workflow_scheduler.cli.session import Session, session_of
from workflow_scheduler.client.http import segment
from workflow_scheduler.core.model.backfill import ACTIVE_DEFAULT, ACTIVE_MAX
from workflow_scheduler.core.time.clock import SystemClock

if TYPE_CHECKING:
    from rich.progress import Progress

app = typer.Typer(help="Backfills: ranges of a schedule's times that are run afterwards.", no_args_is_help=True)
Reference = Annotated[str, typer.Argument(metavar="BACKFILL", help="Id of the backfill.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for the end; exit code 1 when a run failed.")]
Timeout = Annotated[str, typer.Option("--timeout", help="How long to wait: 90s, 15m, 2h.")]
_BASE = "/api/v1/backfills"
_LOOK_SECONDS = 0.5
_PAGE_MAX = 500
_ENDED = frozenset({"completed", "cancelled"})
_FACTS = (
    "id", "workflow", "trigger", "from", "to", "reprocess", "order", "max_active", "input", "version", "status",
    "note", "planned", "started", "active", "succeeded", "failed", "cancelled", "skipped", "remaining", "progress",
    "eta_seconds", "created_at", "ended_at",
)  # fmt: skip


def backfill(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Name or id of the workflow, or WORKFLOW/TRIGGER.")],
    start: Annotated[str, typer.Option("--from", help="First instant: ISO 8601, or 7d for a week ago.")],
    end: Annotated[str, typer.Option("--to", help="The range ends before it: ISO 8601, or 1h for an hour ago.")] = "0s",
    reprocess: Annotated[
        Literal["missing", "failed", "all"],
        typer.Option(help="Times without a run; those and failed or cancelled ones; or every one again."),
    ] = "missing",
    order: Annotated[Literal["forward", "reverse"], typer.Option(help="Oldest or newest first.")] = "forward",
    max_active: Annotated[
        int, typer.Option("--max-active", min=1, max=ACTIVE_MAX, help="How many runs at once.")
    ] = ACTIVE_DEFAULT,
    trigger: Annotated[str | None, typer.Option(help="Time trigger, where the workflow has several.")] = None,
    data: Annotated[list[str] | None, typer.Option("--data", "-d", metavar="K=V", help="A field of the input.")] = None,
    version: Annotated[int | None, typer.Option("--version", min=1, help="Take the times from this version.")] = None,
    ignore_skips: Annotated[bool, typer.Option("--ignore-skips", help="Run skipped times as well.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count and list what would run.")] = False,
    limit: options.Limit = 50,
    wait: Wait = False,
    timeout: Timeout = "24h",
) -> None:
    """Run a range of a schedule's times afterwards, a few at once; `--dry-run` shows first what that means."""
    session = session_of(context)
    workflow, _, named = name.partition("/")
    body: dict[str, Any] = {
        "workflow": workflow, "from": times.past(start), "to": times.past(end), "reprocess": reprocess,
        "order": order, "max_active": max_active, "ignore_skips": ignore_skips,
    }  # fmt: skip
    chosen = {"trigger": trigger or named or None, "version": version, "input": options.pairs(data) if data else None}
    body |= {field: value for field, value in chosen.items() if value is not None}
    if dry_run:
        output.show(session, _plan(session, body, limit), _tell_plan)
        return
    made = session.client.post(_BASE, body)
    if wait:
        _finish(session, made, timeout)
        return
    output.show(session, made, lambda one: output.write(one["id"]))
    if not session.machine:
        output.note(f"{made['planned']} times; follow it: workflow-scheduler backfills watch {made['id']}")


def _plan(session: Session, body: dict[str, Any], limit: int) -> dict[str, Any]:
    """Return a dry run with up to `limit` of its times."""
    plan: dict[str, Any] = session.client.post(_BASE, {**body, "dry_run": True, "limit": min(limit, _PAGE_MAX)})
    while plan["next"] is not None and len(plan["items"]) < limit:
        more = {"dry_run": True, "limit": min(limit - len(plan["items"]), _PAGE_MAX), "cursor": plan["next"]}
        following = session.client.post(_BASE, {**body, **more})
        plan = {**following, "items": plan["items"] + following["items"]}
    return plan


def _tell_plan(plan: dict[str, Any]) -> None:
    columns = {
        "LOCAL": "nominal_local",
        "UTC": "utc",
        "RUNS": lambda one: "runs" if one["runs"] else "left out",
        "REASON": "reason",
        "RUN": lambda one: one["run_id"] or "",
        "NOTE": lambda one: one["note"] or "",
    }
    output.table(plan["items"], columns, "it has no times in that range")
    if plan["next"] is not None:
        output.note(f"… and more: {plan['planned']} times in all; raise --limit to list them")
    output.note(
        f"{plan['planned']} planned = {plan['to_run']} to run + {plan['left_out']} left out; nothing was started"
    )
    for word, name in (("run", "run"), ("left out", "left_out")):
        parts = [f"{number} {reason}" for reason, number in sorted(plan["reasons"][name].items())]
        if parts:
            output.note(f"  {word}: {', '.join(parts)}")


@app.command("ls")
def list_(
    context: typer.Context,
    limit: options.Limit = 50,
    cursor: options.Cursor = None,
    workflow: options.Workflow = None,
    status: Annotated[str | None, typer.Option(help="Only those of this status.")] = None,
) -> None:
    """List backfills, the newest first."""
    session = session_of(context)
    page = session.collect(_BASE, limit, cursor, workflow=workflow, status=status)
    columns = {
        "SCHEDULE": lambda one: f"{one['workflow']}/{one['trigger']}",
        "FROM": lambda one: times.short(one["from"]),
        "TO": lambda one: times.short(one["to"]),
        "STATUS": "status",
        "DONE": lambda one: f"{one['progress']:.0%}",
        "FAILED": "failed",
        "ID": "id",
    }
    output.show(session, page, lambda value: output.table(value["items"], columns, "no backfills"))


@app.command()
def show(context: typer.Context, backfill_id: Reference) -> None:
    """Show a backfill and its progress."""
    session = session_of(context)
    output.show(session, _get(session, backfill_id), _tell)


@app.command()
def watch(context: typer.Context, backfill_id: Reference, timeout: Timeout = "24h") -> None:
    """Follow a backfill to its end; exit code 1 when a run failed."""
    session = session_of(context)
    _finish(session, _get(session, backfill_id), timeout)


@app.command()
def pause(context: typer.Context, backfill_id: Reference) -> None:
    """Start no more of its runs; those under way go on."""
    _do(context, backfill_id, "pause")


@app.command()
def resume(context: typer.Context, backfill_id: Reference) -> None:
    """Go on where it was paused."""
    _do(context, backfill_id, "resume")


@app.command()
def cancel(
    context: typer.Context,
    backfill_id: Reference,
    runs: Annotated[bool, typer.Option("--runs", help="Cancel its runs under way as well.")] = False,
) -> None:
    """End a backfill."""
    _do(context, backfill_id, "cancel", {"cancel_runs": runs})


def _do(context: typer.Context, backfill_id: str, verb: str, body: dict[str, Any] | None = None) -> None:
    session = session_of(context)
    done = session.client.post(f"{_BASE}/{segment(backfill_id)}/{verb}", body)
    output.show(session, done, lambda one: output.write(f"{one['id']}: {one['status']}"))


def _get(session: Session, backfill_id: str) -> dict[str, Any]:
    found: dict[str, Any] = session.client.get(f"{_BASE}/{segment(backfill_id)}")
    return found


def _tell(one: dict[str, Any]) -> None:
    output.pairs(one, _FACTS)


def _finish(session: Session, made: dict[str, Any], timeout: str) -> None:
    """Wait for the end with a bar on a terminal, show the backfill, and leave with the code of its outcome."""
    terminal = sys.stderr.isatty() and not session.machine
    found = _with_bar(session, made, times.seconds(timeout)) if terminal else _wait(session, made, timeout)
    output.show(session, found, _tell)
    if found["status"] not in _ENDED:
        output.note(f"it has not ended: {found['status']}; go on: workflow-scheduler backfills watch {found['id']}")
        raise typer.Exit(Exit.TIMED_OUT)
    raise typer.Exit(Exit.FAILED if found["failed"] or found["status"] == "cancelled" else Exit.OK)


def _wait(session: Session, made: dict[str, Any], timeout: str) -> dict[str, Any]:
    return _follow(session, made, times.seconds(timeout), lambda _: None)


def _with_bar(session: Session, made: dict[str, Any], seconds: float) -> dict[str, Any]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rest]}"))
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(made["status"], total=made["planned"], rest="")
        return _follow(session, made, seconds, lambda one: _draw(progress, task, one))


def _draw(progress: Progress, task: Any, one: dict[str, Any]) -> None:
    eta = f", {one['eta_seconds']:.0f} s left" if one["eta_seconds"] is not None else ""
    rest = f"{one['active']} active, {one['failed']} failed, {one['skipped']} left out{eta}"
    done = one["planned"] - one["remaining"] - one["active"]
    progress.update(task, completed=done, description=one["status"], rest=rest)


def _follow(
    session: Session, made: dict[str, Any], seconds: float, draw: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Return the backfill once it has ended or paused, or as it stands after `seconds`."""
    clock = SystemClock()
    deadline, found = clock.monotonic() + seconds, made
    while found["status"] not in {*_ENDED, "paused"} and clock.monotonic() < deadline:
        draw(found)
        _rest(clock)
        found = _get(session, made["id"])
    draw(found)
    return found


def _rest(clock: SystemClock) -> None:
    import asyncio

    asyncio.run(clock.sleep(_LOOK_SECONDS))
