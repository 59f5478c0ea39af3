"""`pause` and `resume` of workflows."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from workflow_scheduler.cli import output, times
from workflow_scheduler.cli.session import session_of
from workflow_scheduler.client.http import segment

Name = Annotated[str | None, typer.Argument(metavar="NAME", help="Name or id of the workflow.")]
All = Annotated[bool, typer.Option("--all", help="Every workflow.")]


def pause(
    context: typer.Context,
    name: Name = None,
    everything: All = False,
    reason: Annotated[str | None, typer.Option(help="Why; shown wherever the pause is.")] = None,
    until: Annotated[str | None, typer.Option(help="Go on by itself then: ISO 8601, or 2h for in two hours.")] = None,
) -> None:
    """Pause a workflow: its triggers start nothing and its schedules rest."""
    body = {"reason": reason, "until": times.future(until)}
    session = session_of(context)
    found = session.client.post(_path(name, "pause", everything=everything), body)
    output.show(session, found, lambda _: _done(name, "paused", found))


def resume(
    context: typer.Context,
    name: Name = None,
    everything: All = False,
    missed: Annotated[
        Literal["none", "latest", "all"] | None,
        typer.Option(help="What becomes of the times that passed; by default what each schedule's on_resume says."),
    ] = None,
) -> None:
    """Resume a workflow. What passed runs only where asked for, and the next slot is not skipped."""
    session = session_of(context)
    found = session.client.post(_path(name, "resume", everything=everything), {"missed": missed})
    output.show(session, found, lambda _: _done(name, "resumed"))


def told(pause: dict[str, Any]) -> str:
    """Return who paused something, why, and until when, as far as it is known."""
    parts = (("by", "paused_by"), ("until", "paused_until"))
    said = "".join(f" {word} {pause[field]}" for word, field in parts if pause.get(field))
    return f"{said}: {pause['paused_reason']}" if pause.get("paused_reason") else said


def _path(name: str | None, verb: str, *, everything: bool) -> str:
    if (name is None) != everything:
        raise typer.BadParameter("give either the NAME of a workflow or --all")
    return f"/api/v1/workflows/{verb}" if name is None else f"/api/v1/workflows/{segment(name)}/{verb}"


def _done(name: str | None, verb: str, pause: dict[str, Any] | None = None) -> None:
    output.write(f"{name or 'all workflows'}: {verb}{told(pause) if pause else ''}")
    if verb == "paused" and name:
        output.note(f"  go on with: workflow-scheduler resume {name} --missed latest")
