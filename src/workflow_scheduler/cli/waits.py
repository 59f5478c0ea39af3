"""`waits ls|show|answer|link`: paused jobs that want an answer from people."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from workflow_scheduler.cli import options, output, times
from workflow_scheduler.cli.session import session_of
from workflow_scheduler.client.http import segment

app = typer.Typer(help="Paused jobs that want an answer from people.", no_args_is_help=True)
_BASE = "/api/v1/waits"
Wait = Annotated[str, typer.Argument(metavar="WAIT", help="Id of the wait (interaction id).")]
_COLUMNS = {
    "WAIT": "id",
    "STATUS": "status",
    "WORKFLOW": "workflow",
    "JOB": "job_id",
    "ASK": lambda one: one["ask"].splitlines()[0][:60],
    "TO": lambda one: ", ".join(one["to"]) or "anybody",
    "SINCE": lambda one: times.short(one["opened_at"]),
    "EXPIRES": lambda one: times.short(one["expires_at"]) if one["expires_at"] else "",
}


@app.command("ls")
def list_(
    context: typer.Context,
    status: Annotated[
        str | None, typer.Option(help="OPEN, ANSWERED, EXPIRED or CANCELLED; `all` for every one.")
    ] = "OPEN",
    workflow: Annotated[str | None, typer.Option(help="Id or name of a workflow.")] = None,
    run: Annotated[str | None, typer.Option(help="Id of a run.")] = None,
    limit: options.Limit = 50,
    cursor: options.Cursor = None,
) -> None:
    """List waits, the newest first; only open ones unless --status says otherwise."""
    session = session_of(context)
    wanted = None if status in (None, "all") else str(status).upper()
    page = session.collect(_BASE, limit, cursor, status=wanted, workflow=workflow, run=run)
    output.show(session, page, lambda value: output.table(value["items"], _COLUMNS, "nobody is waited for"))


@app.command()
def show(context: typer.Context, wait: Wait) -> None:
    """Show one wait with its answers."""
    session = session_of(context)
    output.show(session, session.client.get(f"{_BASE}/{segment(wait)}"), _view)


@app.command()
def answer(
    context: typer.Context,
    wait: Wait,
    approve: Annotated[bool | None, typer.Option("--approve/--reject", help="The decision.")] = None,
    comment: Annotated[str | None, typer.Option(help="Why.")] = None,
    data: Annotated[
        list[str] | None, typer.Option("-d", "--data", metavar="NAME=VALUE", help="A field of the form; JSON or text.")
    ] = None,
    by: Annotated[str | None, typer.Option(help="Who answers, where nobody is logged in.")] = None,
) -> None:
    """Approve, reject, or fill in the form."""
    session = session_of(context)
    body: dict[str, Any] = {"approved": approve, "comment": comment, "by": by}
    if data:
        body["answer"] = dict(_field(line) for line in data)
    given = {name: value for name, value in body.items() if value is not None}
    shown = session.client.post(f"{_BASE}/{segment(wait)}", given)
    output.show(session, shown, _view)


@app.command()
def link(
    context: typer.Context,
    wait: Wait,
    responder: Annotated[str, typer.Option("--for", help="Who answers with it: a user or an address.")],
) -> None:
    """Make a signed link with which one person answers without logging in."""
    session = session_of(context)
    made = session.client.post(f"{_BASE}/{segment(wait)}/links", {"responder": responder})
    output.show(session, made, lambda value: output.write(value["url"]))


def _field(line: str) -> tuple[str, Any]:
    name, sign, text = line.partition("=")
    if not sign or not name:
        message = f"`{line}` is not NAME=VALUE"
        raise typer.BadParameter(message)
    try:
        return name, json.loads(text)
    except ValueError:
        return name, text


def _view(wait: dict[str, Any]) -> None:
    output.write(f"{wait['id']}  {wait['status']}  {wait['workflow']} / {wait['job_id']}, run {wait['run_id']}")
    output.write(wait["ask"])
    output.write(f"asks {', '.join(wait['to']) or 'anybody'}; {len(wait['answers'])} of {wait['quorum']} answers")
    for one in wait["answers"]:
        what = {True: "approved", False: "rejected", None: "answered"}[one["approved"]]
        comment = f": {one['comment']}" if one["comment"] else ""
        output.write(f"  {times.short(one['at'])}  {one['by']} {what} ({one['via']}){comment}")
