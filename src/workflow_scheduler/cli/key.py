"""`key create|ls|revoke`: API keys."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from workflow_scheduler.cli import options, output, times
from workflow_scheduler.cli.session import session_of
from workflow_scheduler.client.http import segment

app = typer.Typer(help="API keys.", no_args_is_help=True)
_BASE = "/api/v1/keys"


@app.command()
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    role: Annotated[str | None, typer.Option(help="owner, editor or viewer; your own by default.")] = None,
    expires: Annotated[str | None, typer.Option(help="When it ends: ISO 8601, or 90d for in ninety days.")] = None,
) -> None:
    """Make a key; it is shown this one time. The first key ends the service without one."""
    session = session_of(context)
    body = {"name": name, "role": role, "expires_at": times.future(expires)}
    output.show(session, session.client.post(_BASE, body), _made)


def _made(key: dict[str, Any]) -> None:
    output.write(key["key"])
    output.note(f"key {key['id']} ({key['role']}); it is not shown again. Use it: export WFS_API_KEY=…")


@app.command("ls")
def list_(context: typer.Context, limit: options.Limit = 50, cursor: options.Cursor = None) -> None:
    """List keys, revoked ones as well."""
    session = session_of(context)
    columns = {
        "ID": "id",
        "NAME": "name",
        "PREFIX": "prefix",
        "ROLE": "role",
        "CREATED": lambda one: times.short(one["created_at"]),
        "EXPIRES": lambda one: times.short(one["expires_at"]),
        "REVOKED": lambda one: times.short(one["revoked_at"]),
    }
    page = session.collect(_BASE, limit, cursor)
    output.show(session, page, lambda value: output.table(value["items"], columns, "no keys"))


@app.command()
def revoke(context: typer.Context, key: Annotated[str, typer.Argument(metavar="ID", help="Id of the key.")]) -> None:
    """Revoke a key at once."""
    session = session_of(context)
    session.client.delete(f"{_BASE}/{segment(key)}")
    output.show(session, {"revoked": key}, lambda _: output.note(f"revoked {key}"))
