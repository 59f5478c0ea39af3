"""`up`: the whole service in one process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from workflow_scheduler.cli import output
from workflow_scheduler.cli.session import session_of


def up(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address to listen on (HOST, 127.0.0.1).")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65_535, help="Port; 0 takes a free one (PORT, 8003).")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of the database and the keys (WFS_DATA).")] = None,
) -> None:
    """Start API, scheduler and embedded engine; print the URL; stop at SIGTERM or Ctrl-C."""
    from workflow_scheduler.main import serve
    from workflow_scheduler.settings import load

    given = {"HOST": host, "PORT": port, "WFS_DATA": data}
    os.environ.update({name: str(value) for name, value in given.items() if value is not None})
    session = session_of(context)
    settings = load()

    def ready(url: str) -> None:
        if session.machine:
            output.put({"url": url}, line=True)
        else:
            output.write(url)

    raise typer.Exit(serve(settings, ready))
