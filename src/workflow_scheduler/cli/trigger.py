"""`trigger ls|show|health|enable|disable|suspend|release|discard|fire|flush|test|types`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from workflow_scheduler.cli import options, output
from workflow_scheduler.cli.exits import Exit
from workflow_scheduler.cli.files import value_of
from workflow_scheduler.cli.run_view import tell_decision
from workflow_scheduler.cli.session import Session, session_of
from workflow_scheduler.cli.times import short
from workflow_scheduler.client.http import segment
from workflow_scheduler.core.errors import Conflict, NotFound

app = typer.Typer(help="Triggers: what starts workflows.", no_args_is_help=True)
Reference = Annotated[str, typer.Argument(metavar="TRIGGER", help="Id, or WORKFLOW/NAME.")]
Reason = Annotated[str | None, typer.Option(help="Why; kept with the trigger.")]
_BASE = "/api/v1/triggers"
_WELL = frozenset({"healthy", "starting", "waiting", "completed", "expiring"})
_MORE = "; some are left: call it again"
_AT_REST = frozenset({"undeployed", "paused", "disabled", "suspended"})
_SOURCE_NAMES = ("source", "key", "connected_since", "down_since", "last_alive_at", "last_event_at", "lag", "failures",
                 "next_attempt_at", "credentials_expire_at", "shared_by", "error", "remedy")  # fmt: skip
_TIMERS = frozenset({"cron", "interval", "once", "rrule"})


@app.command("ls")
def list_(
    context: typer.Context,
    limit: options.Limit = 50,
    cursor: options.Cursor = None,
    workflow: options.Workflow = None,
    kind: Annotated[str | None, typer.Option("--type", help="Only triggers of this type.")] = None,
    mode: Annotated[str | None, typer.Option(help="enabled, disabled or suspended.")] = None,
) -> None:
    """List triggers."""
    session = session_of(context)
    page = session.collect(_BASE, limit, cursor, workflow=workflow, type=kind, mode=mode)
    columns = {
        "TRIGGER": lambda one: f"{one['workflow']}/{one['name']}",
        "TYPE": "type",
        "MODE": "mode",
        "STATUS": "deployment_status",
        "NEXT": lambda one: short(one["next_fire_at"]),
        "LAST": lambda one: one["last_decision"]["outcome"] if one["last_decision"] else "-",
        "ID": "id",
    }
    output.show(session, page, lambda value: output.table(value["items"], columns, "no triggers"))


@app.command()
def show(context: typer.Context, trigger: Reference) -> None:
    """Show a trigger with its configuration and its last decision."""
    session = session_of(context)
    names = ("id", "workflow", "name", "type", "mode", "mode_reason", "deployment_status", "config", "condition",
             "on_unknown", "overlap", "priority", "waiting", "index_key", "next_fire_at", "last_fired_at",
             "last_decision", "error")  # fmt: skip
    output.show(session, found(session, trigger), lambda one: output.pairs(one, names))


@app.command()
def health(
    context: typer.Context,
    trigger: Annotated[
        str | None, typer.Argument(metavar="TRIGGER", help="Id, or WORKFLOW/NAME; all if left out.")
    ] = None,
    workflow: options.Workflow = None,
) -> None:
    """Tell whether triggers can fire, and how the connections to their peers do. Exit code 1 when one has trouble."""
    session = session_of(context)
    if trigger is None:
        _health_of_all(session, workflow)
        return
    one = session.client.get(f"{_BASE}/{segment(found(session, trigger)['id'])}/health")
    output.show(session, one, _show_health)
    if one["status"] not in _WELL:
        raise typer.Exit(Exit.FAILED)


def _health_of_all(session: Session, workflow: str | None) -> None:
    """Write the health of every trigger, what is wrong first; exit code 1 when a live one has trouble."""
    items = list(session.every(_BASE, workflow=workflow, health="true"))
    items.sort(key=lambda one: one["health"]["status"] in _WELL)
    columns = {
        "TRIGGER": lambda one: f"{one['workflow']}/{one['name']}",
        "TYPE": "type",
        "STATUS": lambda one: one["health"]["status"],
        "LAST ALIVE": lambda one: short((one["health"]["source"] or {}).get("last_alive_at")),
        "LAG": lambda one: (one["health"]["source"] or {}).get("lag"),
        "WHAT": lambda one: one["health"]["summary"],
    }
    page = {"items": items, "next": None}
    output.show(session, page, lambda value: output.table(value["items"], columns, "no triggers"))
    if any(one["health"]["status"] not in {*_WELL, *_AT_REST} for one in items):
        raise typer.Exit(Exit.FAILED)


def _show_health(one: dict[str, Any]) -> None:
    names = ("trigger", "workflow", "status", "summary", "mode", "next_fire_at", "last_fired_at", "decisions_24h",
             "refused")  # fmt: skip
    refused = one.get("refused")
    last = f"{refused['at']}: {refused['why']}" if refused else None
    output.pairs({**one, "decisions_24h": one["decisions_24h"] or None, "refused": last}, names)
    source = one.get("source")
    if source is not None:
        output.write()
        error = source["error"] or {}
        flat = {**source, "error": error.get("message"), "remedy": error.get("remedy"), "source": source["status"]}
        output.pairs(flat, _SOURCE_NAMES)


def found(session: Session, reference: str) -> dict[str, Any]:
    """Return the trigger of an id, of `WORKFLOW/NAME`, or of a workflow that has a single trigger.

    Raises:
        NotFound: there is none; Conflict: the workflow has several triggers.

    """
    workflow, sign, name = reference.partition("/")
    try:
        one: dict[str, Any] = session.client.get(f"{_BASE}/{segment(reference)}")
    except NotFound:
        items = [row for row in session.every(_BASE, workflow=workflow) if not sign or row["name"] == name]
    else:
        return one
    if not items:
        raise NotFound(f"there is no trigger `{reference}`", fix="workflow-scheduler trigger ls")
    if len(items) > 1:
        names = ", ".join(f"{row['workflow']}/{row['name']}" for row in items[:10])
        raise Conflict(f"`{reference}` has several triggers", fix=f"name one of them: {names}")
    only: dict[str, Any] = items[0]
    return only


def _switch(context: typer.Context, reference: str, mode: str, reason: str | None) -> None:
    session = session_of(context)
    one = found(session, reference)
    changed = session.client.post(f"{_BASE}/{segment(one['id'])}/mode", {"mode": mode, "reason": reason})
    output.show(session, changed, lambda row: output.write(f"{row['workflow']}/{row['name']}: {row['mode']}"))


@app.command()
def enable(context: typer.Context, trigger: Reference, reason: Reason = None) -> None:
    """Let a trigger start runs."""
    _switch(context, trigger, "enabled", reason)


@app.command()
def disable(context: typer.Context, trigger: Reference, reason: Reason = None) -> None:
    """Let a trigger start nothing; what it would have heard is recorded as skipped."""
    _switch(context, trigger, "disabled", reason)


@app.command()
def suspend(context: typer.Context, trigger: Reference, reason: Reason = None) -> None:
    """Let a trigger keep what it hears without running it."""
    _switch(context, trigger, "suspended", reason)


@app.command()
def release(context: typer.Context, trigger: Reference) -> None:
    """Let the events be decided again that a trigger kept, the oldest first."""
    session = session_of(context)
    done = session.client.post(f"{_BASE}/{segment(found(session, trigger)['id'])}/release")
    output.show(session, done, _tell_released)


@app.command()
def discard(context: typer.Context, trigger: Reference) -> None:
    """Give the events up that a trigger kept, the oldest first; they can still be replayed."""
    session = session_of(context)
    done = session.client.post(f"{_BASE}/{segment(found(session, trigger)['id'])}/discard")
    output.show(session, done, lambda one: output.write(f"{one['count']} discarded{_MORE if one['more'] else ''}"))


def _tell_released(done: dict[str, Any]) -> None:
    output.write(f"{done['count']} released, {done['runs']} runs started{_MORE if done['more'] else ''}")
    for one in done["failed"]:
        output.note(f"{one['id']}: {one['message']}")


@app.command()
def fire(
    context: typer.Context,
    trigger: Reference,
    data: Annotated[list[str] | None, typer.Option("--data", "-d", metavar="K=V", help="A field of the input.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Confirm, where the trigger asks for it.")] = False,
) -> None:
    """Start a run through a schedule or a manual trigger now. Other triggers fire on events: send one instead."""
    session = session_of(context)
    one = found(session, trigger)
    given = options.pairs(data) if data else None
    if one["type"] in _TIMERS:
        body = {} if given is None else {"input": given}
        started = session.client.post(f"/api/v1/schedules/{segment(one['id'])}/trigger", body)
    elif one["type"] == "manual":
        path = f"{_BASE}/workflows/{segment(one['workflow_id'])}/manual"
        started = session.client.post(path, {"trigger": one["name"], "confirm": yes, "input": given})
    else:
        raise Conflict(
            f"`{trigger}` is of type {one['type']}: it fires on an event",
            fix="send one with `workflow-scheduler events send`, or judge one with `workflow-scheduler trigger test`",
        )
    output.show(session, started, lambda row: output.write(row["run_id"] or "no run was started"))
    if started["run_id"] is None:
        raise typer.Exit(Exit.FAILED)


@app.command()
def flush(
    context: typer.Context,
    trigger: Annotated[
        str, typer.Argument(metavar="TRIGGER", help="Id, WORKFLOW/NAME, or a workflow with --workflow.")
    ],
    workflow: Annotated[bool, typer.Option("--workflow", help="The runs of every trigger of this workflow.")] = False,
    keep: Annotated[
        Literal["latest", "none"], typer.Option(help="latest: the newest of each key waits on.")
    ] = "latest",
) -> None:
    """Give up the runs that wait for their turn, but keep the latest."""
    session = session_of(context)
    if workflow:
        path = f"/api/v1/workflows/{segment(trigger)}/flush"
    else:
        path = f"{_BASE}/{segment(found(session, trigger)['id'])}/flush"
    done = session.client.post(path, {"keep": keep})
    output.show(session, done, lambda one: output.write(f"given up: {one['flushed']}, waiting: {one['waiting']}"))


@app.command("test")
def try_(
    context: typer.Context,
    trigger: Reference,
    event: Annotated[str | None, typer.Option(help="Id of a stored event.")] = None,
    file: Annotated[str | None, typer.Option("--file", "-f", help="A made-up event, as JSON or YAML.")] = None,
    request: Annotated[str | None, typer.Option(help="An HTTP request (method, headers, body) as a file.")] = None,
    sample: Annotated[bool, typer.Option("--sample", help="An example of the trigger's type.")] = False,
) -> None:
    """Tell what would become of an event for a trigger. Nothing is stored; exit code 1 when it would start nothing."""
    session = session_of(context)
    given = [("event_id", event), ("event", file and value_of(file)), ("request", request and value_of(request)),
             ("sample", sample or None)]  # fmt: skip
    body = {name: value for name, value in given if value is not None}
    if len(body) != 1:
        raise typer.BadParameter("give exactly one of --event, --file, --request and --sample")
    one = found(session, trigger)
    trial = session.client.post(f"{_BASE}/{segment(one['id'])}/test", body)
    output.show(session, trial, lambda value: output.each(tell_decision)(value["decisions"]))
    if not any(line["outcome"] == "run_started" for line in trial["decisions"]):
        raise typer.Exit(Exit.FAILED)


@app.command()
def types(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Show this type with its fields.")] = None,
) -> None:
    """List the trigger types, or show the fields of one. Needs no service."""
    from workflow_scheduler.app import trigger_types
    from workflow_scheduler.services.trigger_catalogue import catalogue

    session = session_of(context)
    items = catalogue(trigger_types())
    if name is None:
        columns = {"NAME": "name", "SHAPE": "shape", "WHAT": "summary"}
        page = {"items": items, "next": None}
        output.show(session, page, lambda value: output.table(value["items"], columns))
        return
    for one in items:
        if one["name"] == name:
            output.show(session, one, _show_type)
            return
    known = ", ".join(one["name"] for one in items)
    raise NotFound(f"there is no trigger type `{name}`", fix=f"the types are {known}")


def _show_type(one: dict[str, Any]) -> None:
    output.write(one["documentation"])
    output.write()
    fields = [{"name": name, **part} for name, part in one["schema"].get("properties", {}).items()]
    required = one["schema"].get("required", ())
    columns = {
        "FIELD": "name",
        "NEEDED": lambda part: "yes" if part["name"] in required else "",
        "DEFAULT": lambda part: "" if part.get("default") is None else part["default"],
        "WHAT": lambda part: part.get("description", ""),
    }
    output.table(fields, columns)
