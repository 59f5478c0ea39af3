"""`explain`: why something happened, or why it did not."""

from __future__ import annotations

from typing import Annotated

import typer

from workflow_scheduler.cli import output, times
from workflow_scheduler.cli.run_view import tell_explanation
from workflow_scheduler.cli.session import session_of


def explain(
    context: typer.Context,
    reference: Annotated[str, typer.Argument(metavar="EVENT|RUN|TRIGGER", help="An id, or WORKFLOW/TRIGGER.")],
    at: Annotated[str | None, typer.Option(help="For triggers: the time in question.")] = None,
) -> None:
    """Say why an event started what it did and nothing else, why a run started, or why a schedule did not run."""
    session = session_of(context)
    found = session.client.get("/api/v1/explain", ref=reference, at=times.past(at))
    output.show(session, found, tell_explanation)
