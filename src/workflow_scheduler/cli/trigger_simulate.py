"""`trigger simulate`: a changed trigger on the events that were really received."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from workflow_scheduler.cli import options, output, times
from workflow_scheduler.cli.definitions import read_file
from workflow_scheduler.cli.exits import Exit
from workflow_scheduler.cli.session import session_of
from workflow_scheduler.cli.trigger import Reference, found
from workflow_scheduler.client.http import segment
from workflow_scheduler.core.errors import NotFound

_SPANS = ("limit", "since", "until")


def simulate(
    context: typer.Context,
    trigger: Reference,
    file: Annotated[
        str | None, typer.Option("--file", "-f", help="A definition in which the trigger stands as it would be.")
    ] = None,
    condition: Annotated[str | None, typer.Option(help="CEL in place of the trigger's condition.")] = None,
    change: Annotated[
        list[str] | None, typer.Option("--set", metavar="K=V", help="A field of the configuration.")
    ] = None,
    last: Annotated[int, typer.Option("--last", "-n", min=1, max=1_000, help="How many of the newest events.")] = 200,
    since: options.Since = None,
    until: options.Until = None,
) -> None:
    """Tell which stored events a change would start runs on, beside the live version. Nothing is stored or started."""
    session = session_of(context)
    one = found(session, trigger)
    body: dict[str, Any] = {"limit": last, "since": times.past(since), "until": times.past(until)}
    if file is not None:
        body |= _draft(file, one["workflow"], one["name"])
    if change:
        body["config"] = {**(body.get("config") or one["config"] or {}), **options.pairs(change)}
    if condition is not None:
        body["condition"] = condition
    body = {name: part for name, part in body.items() if part is not None or name not in _SPANS}
    result = session.client.post(f"/api/v1/triggers/{segment(one['id'])}/simulate", body)
    output.show(session, result, _show)
    if result["differences"]:
        raise typer.Exit(Exit.FAILED)


def draft_of(file: str, workflow: str | None, name: str | None) -> tuple[dict[str, Any], str]:
    """Return the definition in a file that has the trigger, and the trigger's name.

    Raises:
        NotFound: none has it; BadParameter: it has several, and none is named.

    """
    for reading in read_file(file):
        value = reading.document.value
        if not isinstance(value, dict) or (workflow is not None and value.get("name") not in (None, workflow)):
            continue
        triggers = value.get("triggers") or {}
        if name is None and len(triggers) > 1:
            raise typer.BadParameter(f"{file} has several triggers: name one of {', '.join(triggers)} with --trigger")
        chosen = name or next(iter(triggers), None)
        if chosen in triggers:
            return value, str(chosen)
    raise NotFound(f"{file} has no trigger `{name or ''}`", fix="name a file with the trigger")


def _draft(file: str, workflow: str, name: str) -> dict[str, Any]:
    from workflow_scheduler.core.definition.trigger_check import SHARED_NAMES
    from workflow_scheduler.core.shaping.fields import ShapeFields

    value, chosen = draft_of(file, workflow, name)
    trigger = {key: part for key, part in value["triggers"][chosen].items() if key != "type"}
    # What the draft leaves out is to be off, not as it is.
    off = dict.fromkeys((*ShapeFields.model_fields, "condition", "pattern"))
    shared = {**off, "on_unknown": "skip", **{key: trigger[key] for key in SHARED_NAMES if key in trigger}}
    return {"config": {key: part for key, part in trigger.items() if key not in SHARED_NAMES}, **shared}


def _show(result: dict[str, Any]) -> None:
    rest = ", of more" if result["more"] else ""
    output.write(f"{result['events']} events{rest}")
    for side in ("live", "proposed"):
        counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(result[side].items())) or "nothing"
        missed = f", {result['missed'][side]} runs for missed windows" if result["missed"][side] else ""
        together = f", {result['together'][side]} runs for groups of events" if result["together"][side] else ""
        output.write(f"  {side:<9} {counts}{missed}{together}")
    columns = {
        "": lambda one: "+" if one["new"] else " ",
        "EVENT": "id",
        "TIME": lambda one: times.short(one["time"]),
        "TYPE": "type",
        "SUBJECT": "subject",
    }
    output.table(result["would_start"], columns, "no event would start a run")
    for one in result["differences"]:
        if one["live"]["outcome"] == "run_started":
            output.write(f"-  {one['event']['id']}: {one['proposed']['outcome']} ({one['proposed']['reason']})")
