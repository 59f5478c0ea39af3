"""`quarantine ls|release`: stored rows that cannot be read."""

from __future__ import annotations

from typing import Annotated

import typer

from workflow_scheduler.cli import options, output
from workflow_scheduler.cli.session import session_of
from workflow_scheduler.cli.times import short
from workflow_scheduler.client.http import segment

app = typer.Typer(
    help="Stored rows that cannot be read; they are left out, their neighbours go on.", no_args_is_help=True
)
_BASE = "/api/v1/quarantine"


@app.command("ls")
def list_(context: typer.Context, limit: options.Limit = 50, cursor: options.Cursor = None) -> None:
    """List the rows, and what is wrong with each."""
    session = session_of(context)
    columns = {"TABLE": "kind", "ID": "id", "FOUND": lambda one: short(one["found_at"]), "DETAIL": "detail"}
    page = session.collect(_BASE, limit, cursor)
    output.show(session, page, lambda value: output.table(value["items"], columns, "every row can be read"))


@app.command()
def release(
    context: typer.Context,
    kind: Annotated[str, typer.Argument(metavar="TABLE", help="The table it stands in.")],
    row: Annotated[str, typer.Argument(metavar="ID", help="Its id.")],
) -> None:
    """Forget a row that was mended or deleted; it is listed again if it still cannot be read."""
    session = session_of(context)
    session.client.delete(f"{_BASE}/{segment(kind)}/{segment(row)}")
    output.show(session, {"released": f"{kind}/{row}"}, lambda _: output.note(f"released {kind}/{row}"))
