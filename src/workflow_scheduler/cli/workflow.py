"""`workflow ls|show|versions|history|rm`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from workflow_scheduler.cli import options, output
from workflow_scheduler.cli.deployment import Name
from workflow_scheduler.cli.pauses import told
from workflow_scheduler.cli.session import session_of
from workflow_scheduler.cli.times import short
from workflow_scheduler.client.http import segment

app = typer.Typer(help="Workflows, their versions and their deployments.", no_args_is_help=True)
_BASE = "/api/v1/workflows"


@app.command("ls")
def list_(
    context: typer.Context,
    limit: options.Limit = 50,
    cursor: options.Cursor = None,
    name: Annotated[str | None, typer.Option(help="A part of the name.")] = None,
) -> None:
    """List workflows."""
    session = session_of(context)
    output.show(session, session.collect(_BASE, limit, cursor, name=name), _list)


def _list(page: dict[str, Any]) -> None:
    columns = {
        "NAME": "name",
        "STATUS": "deployment_status",
        "LIVE": "live_version",
        "LATEST": "version",
        "PAUSED": lambda one: f"paused{told(one)}" if one["paused"] else "",
        "TRIGGERS": lambda one: ", ".join(sorted({part["type"] for part in one["triggers"]})) or "-",
    }
    output.table(page["items"], columns, "no workflows yet; deploy one: workflow-scheduler deploy FILE")


@app.command()
def show(
    context: typer.Context,
    name: Name,
    form: Annotated[
        Literal["document", "nodes"] | None, typer.Option(help="Print only its definition, in this form.")
    ] = None,
) -> None:
    """Show a workflow with its triggers."""
    session = session_of(context)
    found = session.client.get(f"{_BASE}/{segment(name)}", form=form)
    if form is None:
        output.show(session, found, _show)
    else:
        output.put(found["definition"], line=session.form == "jsonl")


def _show(one: dict[str, Any]) -> None:
    output.pairs(
        one,
        (
            "id",
            "name",
            "deployment_status",
            "deployment_error",
            "live_version",
            "version",
            "paused_reason",
            "paused_by",
            "paused_until",
        ),
    )
    columns = {"TRIGGER": "name", "TYPE": "type", "MODE": "mode", "NEXT": lambda part: short(part["next_fire_at"])}
    output.table(one["triggers"], columns)


@app.command()
def versions(context: typer.Context, name: Name, limit: options.Limit = 20, cursor: options.Cursor = None) -> None:
    """List the versions of a workflow, the newest first."""
    session = session_of(context)
    columns = {
        "VERSION": "version",
        "LIVE": lambda one: "live" if one["live"] else "",
        "CREATED": lambda one: short(one["created_at"]),
        "BY": "created_by",
        "HASH": lambda one: one["hash"][:12],
    }
    page = session.collect(f"{_BASE}/{segment(name)}/versions", limit, cursor)
    output.show(session, page, lambda value: output.table(value["items"], columns))


@app.command()
def history(context: typer.Context, name: Name, limit: options.Limit = 20, cursor: options.Cursor = None) -> None:
    """List the deployments of a workflow, the newest first."""
    session = session_of(context)
    columns = {
        "AT": lambda one: short(one["started_at"]),
        "ACTION": "action",
        "VERSION": "version",
        "STATUS": "status",
        "BY": "actor",
        "ERROR": "error",
    }
    page = session.collect(f"/api/v1/deployment/workflows/{segment(name)}/history", limit, cursor)
    output.show(session, page, lambda value: output.table(value["items"], columns))


@app.command()
def rm(
    context: typer.Context,
    name: Name,
    force: Annotated[bool, typer.Option("--force", help="Also when it is deployed.")] = False,
) -> None:
    """Delete a workflow with its versions and triggers; its runs and events stay."""
    session = session_of(context)
    session.client.delete(f"{_BASE}/{segment(name)}", force=force)
    output.show(session, {"deleted": name}, lambda _: output.note(f"deleted {name}"))
