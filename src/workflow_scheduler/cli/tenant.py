"""`tenant show|set`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from workflow_scheduler.cli import options, output
from workflow_scheduler.cli.session import session_of

app = typer.Typer(help="Settings of your tenant.", no_args_is_help=True)
_PATH = "/api/v1/tenant/settings"
_SHOWN = ("tenant_id", "allow_code", "code_allowed", "resources")


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
    resource: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=N", help="A pool that all jobs of the tenant share; 0 removes it. May be repeated."),
    ] = None,
) -> None:
    """Change what the tenant allows itself; without an option the decision on code is the installation's again."""
    session = session_of(context)
    body: dict[str, Any] = {"allow_code": allow_code}
    if resource:
        known = session.client.get(_PATH)
        pools = {**known["resources"], **options.pairs(resource)}
        body["resources"] = {name: amount for name, amount in pools.items() if amount != 0}
        body["allow_code"] = known["allow_code"] if allow_code is None else allow_code
    changed = session.client.put(_PATH, body)
    output.show(session, changed, lambda value: output.pairs(value, _SHOWN))
