"""`github ls|release`: where the GitHub App is installed."""

from __future__ import annotations

from typing import Annotated

import typer

from workflow_scheduler.cli import options, output
from workflow_scheduler.cli.session import session_of
from workflow_scheduler.cli.times import short
from workflow_scheduler.client.http import segment

app = typer.Typer(help="Installations of the GitHub App.", no_args_is_help=True)
_BASE = "/api/v1/github/installations"


@app.command("ls")
def list_(context: typer.Context, limit: options.Limit = 50, cursor: options.Cursor = None) -> None:
    """List the installations that are yours, by the deployments of triggers for them."""
    session = session_of(context)
    columns = {
        "INSTALLATION": "installation_id",
        "ACCOUNT": "account_login",
        "REPOSITORIES": lambda one: ", ".join(one["repositories"]) or one["repository_selection"],
        "STATE": lambda one: "suspended" if one["suspended_at"] else "active",
        "SINCE": lambda one: short(one["created_at"]),
    }
    page = session.collect(_BASE, limit, cursor)
    output.show(session, page, lambda value: output.table(value["items"], columns, "no installations"))


@app.command()
def release(
    context: typer.Context, installation: Annotated[str, typer.Argument(metavar="ID", help="Its id, see `github ls`.")]
) -> None:
    """Give an installation up: nothing of it is heard any more, and another tenant may deploy for it."""
    session = session_of(context)
    session.client.delete(f"{_BASE}/{segment(installation)}")
    output.show(session, {"released": installation}, lambda _: output.note(f"gave {installation} up"))
