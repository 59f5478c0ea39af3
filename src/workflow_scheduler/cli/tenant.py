"""`tenant show|set`."""

from __future__ import annotations

from typing import Annotated

import typer

from workflow_scheduler.cli import output
from workflow_scheduler.cli.session import session_of

app = typer.Typer(help="Settings of your tenant.", no_args_is_help=True)
_PATH = "/api/v1/tenant/settings"
_SHOWN = ("tenant_id", "allow_code", "code_allowed")


@app.command()
def show(context: typer.Context) -> None:
    """Show what the tenant allows itself, and what follows from it."""
    session = session_of(context)
    output.show(session, session.client.get(_PATH), lambda value: output.pairs(value, _SHOWN))


@app.command("set")
def set_(
    context: typer.Context,
    allow_code: Annotated[
        bool | None,
        typer.Option("--allow-code/--forbid-code", help="Whether jobs may run code; the installation must allow it."),
    ] = None,
) -> None:
    """Change what the tenant allows itself; without an option the decision is the installation's again."""
    session = session_of(context)
    changed = session.client.put(_PATH, {"allow_code": allow_code})
    output.show(session, changed, lambda value: output.pairs(value, _SHOWN))
