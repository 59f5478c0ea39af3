"""`trigger listen`: the next real event for a trigger that is live, or for one that only stands in a file."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from workflow_scheduler.cli import output, times
from workflow_scheduler.cli.deployment import deploy_spec
from workflow_scheduler.cli.exits import Exit
from workflow_scheduler.cli.run_view import tell_decision
from workflow_scheduler.cli.session import Session, session_of
from workflow_scheduler.cli.trigger import found
from workflow_scheduler.cli.trigger_simulate import draft_of
from workflow_scheduler.client.http import segment
from workflow_scheduler.core.errors import Conflict, NotFound, SchedulerError
from workflow_scheduler.core.fixtures import made
from workflow_scheduler.core.ids import mint
from workflow_scheduler.core.time.clock import SystemClock

_LOOK_SECONDS = 0.3
_LOOK_ROWS = 50
_DRAFT = "listen-"
_TIMERS = frozenset({"cron", "interval", "once", "rrule"})
_BASE = "/api/v1/triggers"


def listen(
    context: typer.Context,
    trigger: Annotated[
        str, typer.Argument(metavar="TRIGGER", help="Id or WORKFLOW/NAME of a live trigger, or the file of a draft.")
    ],
    name: Annotated[str | None, typer.Option("--trigger", help="Which trigger of the file.")] = None,
    save: Annotated[str | None, typer.Option(metavar="FILE", help="Keep the event as a fixture.")] = None,
    timeout: Annotated[str, typer.Option(help="How long to wait: 90s, 10m.")] = "5m",
) -> None:
    """Wait for the next real event, and tell what becomes of it.

    A draft is deployed under a name of its own while this command listens, suspended: it starts nothing.
    """
    session = session_of(context)
    seconds = times.seconds(timeout)
    is_draft = Path(trigger).is_file()
    with _deployed(session, trigger, name) if is_draft else _live(session, trigger) as one:
        _tell_begin(session, one, draft=is_draft)
        decision = _next(session, one["id"], seconds)
        if decision is None:
            output.note(f"nothing came within {timeout}")
            raise typer.Exit(Exit.TIMED_OUT)
        event = session.client.get(f"/api/v1/events/{segment(decision['event_id'])}")
        lets = not is_draft or decision["reason"] == "trigger_suspended"
        decision = {**decision, "would_start": lets} if is_draft else decision
        if save is not None:
            _save(save, event, decision, trigger if is_draft else None, one)
    output.show(session, {"event": event, "decision": decision}, lambda value: _show(value, draft=is_draft))


@contextmanager
def _live(session: Session, reference: str) -> Iterator[dict[str, Any]]:
    yield _heard(found(session, reference))


@contextmanager
def _deployed(session: Session, file: str, name: str | None) -> Iterator[dict[str, Any]]:
    """Deploy the trigger of a file, suspended, in a workflow of its own, and remove it in the end."""
    value, chosen = draft_of(file, None, name)
    _heard(value["triggers"][chosen])
    called = f"{_DRAFT}{mint(SystemClock().now())}"
    definition: dict[str, Any] = {
        **{key: value[key] for key in ("version", "timezone") if key in value},
        "name": called,
        "description": f"Made by `trigger listen` for `{value.get('name')}/{chosen}`; it may be deleted.",
        "triggers": {chosen: {**value["triggers"][chosen], "enabled": False}},
        "jobs": {"nothing": {"uses": "noop"}},
    }
    status = deploy_spec(session, called, definition)
    try:
        # Off at first, so that it can never start anything; suspended, because nothing is heard for one that is off.
        session.client.post(f"{_BASE}/{segment(status['triggers'][0]['id'])}/mode", {"mode": "suspended"})
        yield {**status["triggers"][0], "workflow": str(value.get("name")), "file": file}
    finally:
        session.client.post(f"/api/v1/deployment/workflows/{segment(status['workflow_id'])}/undeploy", {})
        session.client.delete(f"/api/v1/workflows/{segment(status['workflow_id'])}")


def _heard(one: dict[str, Any]) -> dict[str, Any]:
    """Return a trigger that hears events.

    Raises:
        Conflict: it fires at times.

    """
    if one.get("type") in _TIMERS:
        raise Conflict("this trigger fires at times and hears nothing", fix="workflow-scheduler next")
    return one


def _tell_begin(session: Session, one: dict[str, Any], *, draft: bool) -> None:
    if session.machine:
        return
    what = "the draft" if draft else "the live"
    output.note(f"listening for {what} {one['workflow']}/{one['name']} ({one['type']}); Ctrl-C ends it")
    for key in ("url", "curl"):
        if one.get(key):
            output.note(f"  {one[key]}")


def _next(session: Session, trigger_id: str, seconds: float) -> dict[str, Any] | None:
    """Return the first decision about a trigger from now on, or None when none comes in time."""
    clock = SystemClock()
    deadline = clock.monotonic() + seconds
    known = _newest(session, trigger_id)
    last = known[0]["event_id"] if known else ""
    while clock.monotonic() < deadline:
        asyncio.run(clock.sleep(_LOOK_SECONDS))
        newer = [one for one in _newest(session, trigger_id) if one["event_id"] > last]
        if newer:
            return newer[-1]
    return None


def _newest(session: Session, trigger_id: str) -> list[dict[str, Any]]:
    try:
        items: list[dict[str, Any]] = session.client.get(f"{_BASE}/{segment(trigger_id)}/decisions", limit=_LOOK_ROWS)[
            "items"
        ]
    except NotFound:  # nothing was ever decided about a trigger that is new
        return []
    return [one for one in items if one.get("event_id")]


def _save(file: str, event: dict[str, Any], decision: dict[str, Any], draft: str | None, one: dict[str, Any]) -> None:
    outcome = decision["outcome"]
    if draft is not None:
        outcome = "run_started" if decision["would_start"] else "filtered"
    named = {"workflow": one["workflow"], "trigger": one["name"], "outcome": outcome}
    fixture, hidden = made(event, [named])
    try:
        Path(file).write_bytes(msgspec.json.format(msgspec.json.encode(fixture), indent=2) + b"\n")
    except OSError as error:
        raise SchedulerError(f"cannot write {file}: {error.strerror}") from None
    output.note(f"kept as {file}" + (f"; taken out: {', '.join(hidden)}" if hidden else ""))


def _show(value: dict[str, Any], *, draft: bool) -> None:
    event, decision = value["event"], value["decision"]
    output.pairs(event, ("id", "type", "source", "subject", "time", "data"))
    tell_decision(decision)
    if draft:
        output.write("  it would start a run" if decision["would_start"] else "  it would start nothing")
