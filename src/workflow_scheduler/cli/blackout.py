"""`blackout ls|create|rm`: stretches of time in which time triggers start nothing."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from workflow_scheduler.cli import options, output, times
from workflow_scheduler.cli.session import session_of
from workflow_scheduler.client.http import segment

app = typer.Typer(help="Blackout windows: time triggers wait for their end, or are left out.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the window.")]
_BASE = "/api/v1/blackouts"


@app.command("ls")
def list_(context: typer.Context, limit: options.Limit = 50, cursor: options.Cursor = None) -> None:
    """List blackout windows."""
    session = session_of(context)
    columns = {
        "NAME": "name",
        "MODE": lambda one: one["mode"] or "unreadable",
        "WORKFLOWS": lambda one: ", ".join(one["workflows"]),
        "WHEN": _when,
        "FOR": lambda one: one["duration"] or "",
        "ACTIVE": lambda one: f"until {times.short(one['active_until'])}" if one["active"] else "",
        "NEXT": lambda one: times.short(one["next_start"]),
    }
    page = session.collect(_BASE, limit, cursor)
    output.show(session, page, lambda value: output.table(value["items"], columns, "no blackouts"))


@app.command()
def create(
    context: typer.Context,
    name: Name,
    start: Annotated[str | None, typer.Option("--from", help="Beginning: ISO 8601, or 2h for in two hours.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="End: ISO 8601, or 4h for in four hours.")] = None,
    cron: Annotated[str | None, typer.Option(help="Beginnings of a recurring window.")] = None,
    rrule: Annotated[str | None, typer.Option(help="The same as a recurrence rule; needs --dtstart.")] = None,
    dtstart: Annotated[str | None, typer.Option(help="Beginning of --rrule.")] = None,
    duration: Annotated[str | None, typer.Option(help="Length of a recurring window: 30m, 2h.")] = None,
    timezone: Annotated[str | None, typer.Option(help="IANA name of the zone.")] = None,
    workflow: Annotated[list[str] | None, typer.Option(help="Name or pattern, repeatable; all by default.")] = None,
    mode: Annotated[Literal["defer", "skip"], typer.Option(help="Wait for the end, or leave the times out.")] = "defer",
    reason: Annotated[str | None, typer.Option(help="Why.")] = None,
) -> None:
    """Create a blackout window, once (--from, --to) or again and again (--cron or --rrule, --duration)."""
    session = session_of(context)
    given: dict[str, Any] = {
        "name": name, "mode": mode, "from": times.future(start), "to": times.future(end), "cron": cron,
        "rrule": rrule, "dtstart": dtstart, "duration": duration, "timezone": timezone, "workflows": workflow,
        "reason": reason,
    }  # fmt: skip
    made = session.client.post(_BASE, {field: value for field, value in given.items() if value is not None})
    output.show(session, made, lambda one: output.write(f"{one['name']}: {one['mode']}s from {_begin(one)}"))


def _when(one: dict[str, Any]) -> str:
    if one["error"] is not None:
        return str(one["error"]["message"])
    return one["cron"] or one["rrule"] or f"{one['from']} to {one['to']}"


def _begin(one: dict[str, Any]) -> str:
    return "now on" if one["active"] else times.short(one["next_start"])


@app.command()
def rm(context: typer.Context, name: Name) -> None:
    """Delete a blackout window; what waits for its end is looked at again."""
    session = session_of(context)
    session.client.delete(f"{_BASE}/{segment(name)}")
    output.show(session, {"deleted": name}, lambda _: output.note(f"deleted {name}"))
