"""`dead ls|show|replay|discard`: what was given up on."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from workflow_scheduler.cli import options, output, times
from workflow_scheduler.cli.files import value_of
from workflow_scheduler.cli.session import session_of
from workflow_scheduler.client.http import segment

app = typer.Typer(help="Dead letters: what was given up on, with its cause.", no_args_is_help=True)
_BASE = "/api/v1/dead-letters"
Ids = Annotated[list[str], typer.Argument(metavar="ID…", help="Ids of dead letters.")]


@app.command("ls")
def list_(
    context: typer.Context,
    limit: options.Limit = 50,
    cursor: options.Cursor = None,
    status: Annotated[str, typer.Option(help="dead, redriven or discarded.")] = "dead",
    reason: Annotated[str | None, typer.Option(help="Only with this reason code.")] = None,
    since: options.Since = None,
) -> None:
    """List dead letters, the newest first."""
    session = session_of(context)
    page = session.collect(_BASE, limit, cursor, status=status, reason=reason, since=times.past(since))
    columns = {
        "ID": "id",
        "KIND": "kind",
        "STATUS": "status",
        "REASON": "reason",
        "ATTEMPTS": "attempts",
        "CREATED": lambda one: times.short(one["created_at"]),
        "DETAIL": lambda one: output.brief(one["detail"], 100),
    }
    output.show(session, page, lambda value: output.table(value["items"], columns, "no dead letters"))


@app.command()
def show(context: typer.Context, dead_letter: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Show a dead letter with its payload and cause."""
    session = session_of(context)
    names = ("id", "kind", "status", "reason", "detail", "attempts", "workflow_id", "trigger_id", "event_id", "run_id",
             "created_at", "settled_at", "payload")  # fmt: skip
    output.show(session, session.client.get(f"{_BASE}/{segment(dead_letter)}"), lambda one: output.pairs(one, names))


@app.command()
def replay(
    context: typer.Context,
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID…", help="Ids of dead letters.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them, or those that fit --reason.")] = False,
    reason: Annotated[str | None, typer.Option(help="With --all: only with this reason code.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="With --all: only count.")] = False,
    file: Annotated[str | None, typer.Option("--file", "-f", help="Another payload, for a single one.")] = None,
) -> None:
    """Put dead letters back to work under their own keys; it cannot double anything."""
    session = session_of(context)
    if everything == bool(ids):
        raise typer.BadParameter("give either IDs or --all")
    if everything:
        wanted = {"reason": reason} if reason else {}
        done = session.client.post(f"{_BASE}/redrive", {"filter": wanted, "dry_run": dry_run})
        output.show(session, done, _tell_many)
        return
    if dry_run or reason or (file and len(ids or []) != 1):
        raise typer.BadParameter("--dry-run and --reason go with --all, and --file with a single ID")
    body = {"payload": value_of(file)} if file is not None else {}
    items = [session.client.post(f"{_BASE}/{segment(one)}/redrive", body) for one in ids or []]
    output.show(session, {"items": items, "next": None}, output.each(_tell))


@app.command()
def discard(context: typer.Context, ids: Ids) -> None:
    """Settle dead letters without doing them; they stay listed as discarded."""
    session = session_of(context)
    items = [session.client.post(f"{_BASE}/{segment(one)}/discard") for one in ids]
    output.show(session, {"items": items, "next": None}, output.each(_tell))


def _tell(one: dict[str, Any]) -> None:
    output.write(f"{one['id']}: {one['status']}")


def _tell_many(done: dict[str, Any]) -> None:
    verb = "would go" if done["dry_run"] else "went"
    output.write(f"{done['count']} dead letters {verb} back to work")
    if done["more"]:
        output.note("there are more; call it again")
