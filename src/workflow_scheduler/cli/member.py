"""`member ls|add|set|rm` and `audit`: who may do what, and who did."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from workflow_scheduler.cli import options, output, times
from workflow_scheduler.cli.session import session_of
from workflow_scheduler.client.http import segment

app = typer.Typer(help="The people of the tenant and their roles.", no_args_is_help=True)
_BASE = "/api/v1/members"
User = Annotated[str, typer.Argument(metavar="USER", help="Id of the user, as in tokens.")]
Role = Annotated[str | None, typer.Option(help="owner, editor or viewer.")]
Name = Annotated[str | None, typer.Option(help="Name of the person.")]
Email = Annotated[str | None, typer.Option(help="Address of the person.")]
Groups = Annotated[list[str] | None, typer.Option("--group", help="A group of theirs; may be given several times.")]
_COLUMNS = {
    "USER": "user_id",
    "ROLE": "role",
    "NAME": "name",
    "EMAIL": "email",
    "GROUPS": lambda one: ", ".join(one["groups"]),
    "SINCE": lambda one: times.short(one["created_at"]),
}


def _fields(role: str | None, name: str | None, email: str | None, groups: list[str] | None) -> dict[str, Any]:
    given = {"role": role, "name": name, "email": email, "groups": groups or None}
    return {field: value for field, value in given.items() if value is not None}


@app.command("ls")
def list_(context: typer.Context, limit: options.Limit = 50, cursor: options.Cursor = None) -> None:
    """List members."""
    session = session_of(context)
    page = session.collect(_BASE, limit, cursor)
    output.show(session, page, lambda value: output.table(value["items"], _COLUMNS, "no members"))


@app.command()
def add(
    context: typer.Context,
    user: User,
    role: Role = None,
    name: Name = None,
    email: Email = None,
    group: Groups = None,
) -> None:
    """Add a member; an editor unless --role says more."""
    session = session_of(context)
    member = session.client.post(_BASE, {"user_id": user, **_fields(role, name, email, group)})
    output.show(session, member, lambda one: output.note(f"{one['user_id']} is {one['role']}"))


@app.command("set")
def set_(
    context: typer.Context,
    user: User,
    role: Role = None,
    name: Name = None,
    email: Email = None,
    group: Groups = None,
) -> None:
    """Change the role, the name, the address or the groups of a member."""
    session = session_of(context)
    member = session.client.put(f"{_BASE}/{segment(user)}", _fields(role, name, email, group))
    output.show(session, member, lambda one: output.note(f"{one['user_id']} is {one['role']}"))


@app.command("rm")
def remove(context: typer.Context, user: User) -> None:
    """Remove a member: their tokens are refused, their keys revoked."""
    session = session_of(context)
    session.client.delete(f"{_BASE}/{segment(user)}")
    output.show(session, {"removed": user}, lambda _: output.note(f"removed {user}"))


def audit(
    context: typer.Context,
    user: Annotated[str | None, typer.Option(help="Only what this user asked for.")] = None,
    limit: options.Limit = 50,
    cursor: options.Cursor = None,
) -> None:
    """Show who asked for which change, the newest first."""
    session = session_of(context)
    columns = {
        "AT": lambda one: times.short(one["at"]),
        "USER": "user_id",
        "ROLE": "role",
        "METHOD": "method",
        "PATH": "path",
        "STATUS": lambda one: "unknown" if one["status"] is None else str(one["status"]),
    }
    page = session.collect("/api/v1/audit", limit, cursor, user=user)
    output.show(session, page, lambda value: output.table(value["items"], columns, "nothing was asked for"))
