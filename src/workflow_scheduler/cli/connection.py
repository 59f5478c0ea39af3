"""`connection add|authorize|ls|show|test|rotate|rm`."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from workflow_scheduler.cli import options, output, times
from workflow_scheduler.cli.exits import Exit
from workflow_scheduler.cli.session import Session, session_of
from workflow_scheduler.client.http import segment
from workflow_scheduler.core.errors import NotFound

app = typer.Typer(help="Connections: named credentials that jobs use.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="NAME", help="The name that jobs use.")]
Fields = Annotated[list[str] | None, typer.Argument(metavar="[FIELD=VALUE]…", help="Fields of its kind.")]
Secret = Annotated[
    str | None,
    typer.Option("--secret", help="Name of the secret field to read from standard input (default: see help)."),
]
Expires = Annotated[str | None, typer.Option(help="When its secrets end: ISO 8601, or 90d for in ninety days.")]
_BASE = "/api/v1/connections"
_SECRETS = {"smtp": "password", "sql": "password", "slack": "token", "http": "secret"}
_SHOWN = (
    "name", "kind", "fields", "secrets", "updated_at", "updated_by", "rotated_at", "expires_at", "expired", "last_test",
    "consent",
)  # fmt: skip
_LOOK_SECONDS = 1.0


@app.command()
def add(
    context: typer.Context,
    name: Name,
    fields: Fields = None,
    kind: Annotated[str, typer.Option(help="smtp, sql, slack or http.")] = "",
    secret: Secret = None,
    expires: Expires = None,
) -> None:
    """Make a connection. The secret comes from standard input, and on a terminal is asked for without an echo.

    Example: printf %s PASSWORD | workflow-scheduler connection add mail --kind smtp host=smtp.example.test username=me
    """
    if not kind:
        raise typer.BadParameter("name the kind: --kind smtp, sql, slack or http")
    session = session_of(context)
    given: dict[str, Any] = options.pairs(fields or [])
    field = secret or _SECRETS.get(kind, "secret")
    value = _secret(field)
    if value:
        given[field] = value
    body = {"name": name, "kind": kind, "fields": given, "expires_at": times.future(expires)}
    made = session.client.post(_BASE, body)
    output.show(
        session, made, lambda one: output.note(f"connection {one['name']} is set; try it: connection test {name}")
    )


@app.command()
def authorize(
    context: typer.Context,
    name: Name,
    provider: Annotated[str, typer.Option(help="github, slack or google.")],
    scopes: Annotated[str | None, typer.Option(help="What to ask for, in place of the provider's usual.")] = None,
    wait: Annotated[str, typer.Option(help="How long to wait for the consent; 0 does not wait.")] = "10m",
) -> None:
    """Connect an account: print the address at which a person consents, and wait until the connection is there.

    The browser has to be signed in to the web app as who begins here. Connecting a name again replaces its account.
    """
    session, seconds = session_of(context), times.seconds(wait)
    before = _consented(session, name)
    begun = session.client.call(
        "GET",
        f"/api/v1/auth/{segment(provider)}/start",
        query={"connection": name, "scopes": scopes},
        headers={"Accept": "application/json"},
    )
    if not seconds:
        output.show(session, begun, lambda one: output.write(one["address"]))
        output.note(f"open it in a browser; look for the connection with: connection show {name}")
        return
    (output.note if session.machine else output.write)(begun["address"])
    output.note(f"open it in a browser; waiting until {name} is connected …")
    made = _awaited(session, name, before, seconds)
    if made is None:
        output.note(f"{name} is not connected yet; look again with: connection show {name}")
        raise typer.Exit(Exit.TIMED_OUT)
    output.show(
        session, made, lambda one: output.note(f"connection {name} is set: {one['consent']['account'] or provider}")
    )


@app.command("ls")
def list_(context: typer.Context, limit: options.Limit = 50, cursor: options.Cursor = None) -> None:
    """List connections, without secrets."""
    session = session_of(context)
    columns = {
        "NAME": "name",
        "KIND": "kind",
        "UPDATED": lambda one: times.short(one["updated_at"]),
        "EXPIRES": lambda one: "expired" if one["expired"] else times.short(one["expires_at"]),
        "LAST TEST": lambda one: "-" if one["last_test"] is None else "ok" if one["last_test"]["ok"] else "failed",
    }
    page = session.collect(_BASE, limit, cursor)
    output.show(session, page, lambda value: output.table(value["items"], columns, "no connections"))


@app.command()
def show(context: typer.Context, name: Name) -> None:
    """Show a connection, without its secrets."""
    session = session_of(context)
    output.show(session, session.client.get(f"{_BASE}/{segment(name)}"), lambda one: output.pairs(one, _SHOWN))


@app.command("test")
def test_(context: typer.Context, name: Name) -> None:
    """Connect and log in with it. Ends with status 1 where that fails."""
    session = session_of(context)
    tested = session.client.post(f"{_BASE}/{segment(name)}/test", {})
    output.show(session, tested, lambda one: output.write(f"{'ok' if one['ok'] else 'failed'}: {one['detail']}"))
    if not tested["ok"]:
        raise typer.Exit(1)


@app.command()
def rotate(
    context: typer.Context,
    name: Name,
    secret: Secret = None,
    untested: Annotated[bool, typer.Option("--no-test", help="Do not try the new secret first.")] = False,
    expires: Expires = None,
) -> None:
    """Replace the secret by the one on standard input, in one step, after it was seen to work."""
    session = session_of(context)
    path = f"{_BASE}/{segment(name)}"
    field = secret or _SECRETS.get(session.client.get(path)["kind"], "secret")
    value = _secret(field)
    if not value:
        raise typer.BadParameter(f"standard input is empty; write: printf %s VALUE | … connection rotate {name}")
    body = {"secrets": {field: value}, "test": not untested, "expires_at": times.future(expires)}
    rotated = session.client.post(f"{path}/rotate", body)
    output.show(session, rotated, lambda one: output.note(f"connection {one['name']} has a new {field}"))


@app.command()
def rm(context: typer.Context, name: Name) -> None:
    """Delete a connection that no live workflow uses."""
    session = session_of(context)
    session.client.delete(f"{_BASE}/{segment(name)}")
    output.show(session, {"deleted": name}, lambda _: output.note(f"deleted {name}"))


def _consented(session: Session, name: str) -> str | None:
    """Return when the consent was given on which a connection lives, if there is one."""
    try:
        consent = session.client.get(f"{_BASE}/{segment(name)}")["consent"]
    except NotFound:
        return None
    return None if consent is None else str(consent["at"])


def _awaited(session: Session, name: str, before: str | None, seconds: float) -> dict[str, Any] | None:
    """Return the connection once it lives on another consent than `before`; None when that takes too long."""
    import asyncio

    from workflow_scheduler.core.time.clock import SystemClock

    clock = SystemClock()
    deadline = clock.monotonic() + seconds
    while _consented(session, name) in {None, before}:
        if clock.monotonic() >= deadline:
            return None
        asyncio.run(clock.sleep(min(_LOOK_SECONDS, seconds)))
    return dict(session.client.get(f"{_BASE}/{segment(name)}"))


def _secret(field: str) -> str:
    if sys.stdin.isatty():
        return str(typer.prompt(field.capitalize(), hide_input=True, err=True, default="", show_default=False))
    return sys.stdin.read().removesuffix("\n").removesuffix("\r")
