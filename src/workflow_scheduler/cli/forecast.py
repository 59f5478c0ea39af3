"""`forecast`: the fires that lie ahead, and where too many fall on one instant."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from workflow_scheduler.cli import output, times
from workflow_scheduler.cli.session import session_of

_BAR = 40
_NAMED = 5


def forecast(
    context: typer.Context,
    hours: Annotated[int, typer.Option(min=1, max=744, help="How far to look ahead.")] = 24,
    minutes: Annotated[bool, typer.Option("--minutes", help="By the minute instead of by the hour.")] = False,
    most: Annotated[int, typer.Option("--collisions", min=0, max=100, help="How many collisions to list.")] = 10,
    spread: Annotated[bool, typer.Option("--spread", help="With the jitter that would spread each of them.")] = False,
) -> None:
    """Show how many runs the schedules will start, and when too many start at once."""
    session = session_of(context)
    query = {"hours": hours, "minutes": _word(minutes), "collisions": most, "spread": _word(spread)}
    output.show(session, session.client.get("/api/v1/forecast", **query), _tell)


def _word(value: bool) -> str:
    return "true" if value else "false"


def _tell(found: dict[str, Any]) -> None:
    peak = max((one["fires"] for one in found["items"]), default=1)
    columns = {
        "FROM": lambda one: times.short(one["start"]),
        "FIRES": "fires",
        "": lambda one: "#" * max(1, one["fires"] * _BAR // peak),
    }
    output.table(found["items"], columns, "nothing is planned")
    output.note(f"{found['total']} fires of {found['schedules']} schedules; {found['resting']} rest")
    if found["note"]:
        output.note(found["note"])
    for one in found["collisions"]:
        output.write(one["summary"] + _advice(one.get("spread")))
        names = [f"{each['workflow']}/{each['name']}" for each in one["schedules"][:_NAMED]]
        rest = one["fires"] - len(names)
        output.write(f"  {', '.join(names)}" + (f" and {rest} more" if rest else ""))


def _advice(spread: dict[str, Any] | None) -> str:
    if spread is None:
        return ""
    return f"; with `jitter: {spread['jitter']}` at most {spread['peak_after']} in one second"
