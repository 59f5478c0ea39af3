"""`up`: the whole service in one process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from workflow_scheduler.cli import output
from workflow_scheduler.cli.session import session_of
from workflow_scheduler.core.errors import FieldError, ValidationFailed


def up(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address to listen on (HOST, 127.0.0.1).")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65_535, help="Port; 0 takes a free one (PORT, 8003).")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of the database and the keys (WFS_DATA).")] = None,
) -> None:
    """Start API, scheduler and embedded engine; print the URL; stop at SIGTERM or Ctrl-C."""
    from pydantic import ValidationError

    from workflow_scheduler.main import serve
    from workflow_scheduler.settings import Settings

    given = {"HOST": host, "PORT": port, "WFS_DATA": data}
    os.environ.update({name: str(value) for name, value in given.items() if value is not None})
    session = session_of(context)
    try:
        settings = Settings()
    except ValidationError as error:
        lines = [FieldError(str(one["loc"][0]) if one["loc"] else "", str(one["msg"])) for one in error.errors()]
        raise ValidationFailed("a setting is wrong", errors=lines, fix="see docs/reference/settings.md") from None

    def ready(url: str) -> None:
        if session.machine:
            output.put({"url": url}, line=True)
        else:
            output.write(url)

    raise typer.Exit(serve(settings, ready))
