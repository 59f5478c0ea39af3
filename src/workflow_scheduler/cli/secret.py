"""`secret set|ls|rm`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from workflow_scheduler.cli import options, output
from workflow_scheduler.cli.session import session_of
from workflow_scheduler.cli.times import short
from workflow_scheduler.client.http import segment

app = typer.Typer(help="Secrets: set once, never shown again.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="NAME", help="The name that definitions use.")]
_BASE = "/api/v1/secrets"


@app.command("set")
def set_(
    context: typer.Context,
    name: Name,
    keep_previous: Annotated[
        str | None,
        typer.Option("--keep-previous", metavar="TIME", help="Take the value before as well for this long: 24h."),
    ] = None,
) -> None:
    """Set a secret from standard input; on a terminal it is asked for without an echo."""
    value = typer.prompt("Value", hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.read()
    value = value.removesuffix("\n").removesuffix("\r")
    if not value:
        raise typer.BadParameter("standard input is empty; write: printf %s VALUE | workflow-scheduler secret set NAME")
    session = session_of(context)
    stored = session.client.post(_BASE, {"name": name, "value": value, "keep_previous": keep_previous})
    output.show(session, stored, lambda one: output.note(f"secret {one['name']} is set"))


@app.command("ls")
def list_(context: typer.Context, limit: options.Limit = 50, cursor: options.Cursor = None) -> None:
    """List the names of secrets."""
    session = session_of(context)
    columns = {"NAME": "name", "SET": lambda one: short(one["updated_at"]), "BY": "updated_by"}
    page = session.collect(_BASE, limit, cursor)
    output.show(session, page, lambda value: output.table(value["items"], columns, "no secrets"))


@app.command()
def rm(context: typer.Context, name: Name) -> None:
    """Delete a secret. Triggers and jobs that name it fail from now on."""
    session = session_of(context)
    session.client.delete(f"{_BASE}/{segment(name)}")
    output.show(session, {"deleted": name}, lambda _: output.note(f"deleted {name}"))
