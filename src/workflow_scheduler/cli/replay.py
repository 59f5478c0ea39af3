"""`replay`: let stored events happen again."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from workflow_scheduler.cli import options, output, times
from workflow_scheduler.cli.session import session_of

_FILTERS = ("source", "type", "provider")


def replay(
    context: typer.Context,
    events: Annotated[list[str] | None, typer.Argument(metavar="EVENT…", help="Ids of events.")] = None,
    since: options.Since = None,
    until: options.Until = None,
    filters: Annotated[
        list[str] | None, typer.Option("--filter", metavar="K=V", help="source=…, type=… or provider=….")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count events and what they would start.")] = False,
) -> None:
    """Replay events: each starts new runs that name the first event."""
    chosen = options.pairs(filters or [])
    for name in chosen:
        if name not in _FILTERS:
            raise typer.BadParameter(f"there is no filter `{name}`; the filters are {', '.join(_FILTERS)}")
    body: dict[str, Any] = {"dry_run": dry_run}
    if events:
        body["ids"] = events
    if chosen:
        body["filter"] = {name: str(value) for name, value in chosen.items()}
    body |= {name: value for name, value in (("since", times.past(since)), ("until", times.past(until))) if value}
    if not body.keys() - {"dry_run"}:
        raise typer.BadParameter("name events, or choose them with --since, --until or --filter")
    session = session_of(context)
    output.show(session, session.client.post("/api/v1/events/replay", body), _tell)


def _tell(found: dict[str, Any]) -> None:
    verb = "would be replayed" if found["dry_run"] else "replayed"
    output.write(f"{found['count']} events {verb}")
    for name, value in found.items():
        if name not in {"count", "dry_run", "more", "items"}:
            output.write(f"  {name.replace('_', ' ')}: {output.brief(value)}")
    for one in found.get("items") or ():
        output.write(f"  {output.brief(one)}")
    if found["more"]:
        output.note("there are more; call it again with a later --since")
