"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import typer

Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="How many at most.")]
Cursor = Annotated[str | None, typer.Option(help="Go on where the list before ended (its `next`).")]
Since = Annotated[str | None, typer.Option(help="From this time on: ISO 8601, or a span such as 2h for two hours ago.")]
Until = Annotated[str | None, typer.Option(help="Before this time: ISO 8601, or a span such as 2h.")]
Workflow = Annotated[str | None, typer.Option("--workflow", "-w", help="Name or id of the workflow.")]


def pairs(given: list[str]) -> dict[str, Any]:
    """Return `k=v` arguments as an object; a value that is JSON counts as what it says, any other as text.

    Raises:
        BadParameter: an argument has no `=`.

    """
    found: dict[str, Any] = {}
    for one in given:
        name, sign, text = one.partition("=")
        if not sign or not name:
            raise typer.BadParameter(f"`{one}` is not of the form name=value")
        found[name] = plain(text)
    return found


def plain(text: str) -> Any:
    """Return the JSON value of a text, or the text itself."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return text
