"""`trigger joins`: what a trigger that waits for several workflows has got so far."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from workflow_scheduler.cli import output
from workflow_scheduler.cli.session import session_of
from workflow_scheduler.cli.times import short
from workflow_scheduler.cli.trigger import Reference, found
from workflow_scheduler.client.http import segment
from workflow_scheduler.core.errors import Conflict


def joins(
    context: typer.Context,
    trigger: Reference,
    reset: Annotated[bool, typer.Option("--reset", help="Forget what has arrived.")] = False,
    key: Annotated[str | None, typer.Option(help="With --reset: only the round of this KEY.")] = None,
) -> None:
    """Show which workflows a trigger still waits for, or let it begin anew."""
    session = session_of(context)
    path = f"/api/v1/triggers/{segment(found(session, trigger)['id'])}/joins"
    if reset:
        done = session.client.delete(path, key=key)
        output.show(session, done, lambda one: output.write(f"rounds forgotten: {one['reset']}"))
        return
    page = session.client.get(path)
    if page["rule"] is None:
        raise Conflict(
            f"`{trigger}` waits for no others: each event that fits starts a run",
            fix="write a trigger of type `workflow` with `all`, `at_least` or `when`",
        )
    output.show(session, page, _show)


def _show(page: dict[str, Any]) -> None:
    columns = {
        "KEY": lambda one: one["key"] or "-",
        "OPENED": lambda one: short(one["opened_at"]),
        "OVER": lambda one: short(one["due_at"]),
        "ARRIVED": lambda one: ", ".join(part["member"] for part in one["arrived"]) or "-",
        "MISSING": lambda one: one["summary"].removeprefix("still missing: "),
    }
    output.table(page["items"], columns, f"nothing has arrived; waiting for {', '.join(page['members'])}")
