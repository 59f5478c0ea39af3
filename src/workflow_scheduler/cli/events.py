"""`events ls|show|tail|send|fixture|attachments|attachment`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from workflow_scheduler.cli import options, output, times
from workflow_scheduler.cli.files import value_of
from workflow_scheduler.cli.run_view import tell_decision
from workflow_scheduler.cli.session import session_of
from workflow_scheduler.client.http import problem, segment
from workflow_scheduler.core.ids import mint
from workflow_scheduler.core.time.clock import SystemClock

app = typer.Typer(help="Events: whatever was heard.", no_args_is_help=True)
_BASE = "/api/v1/events"
_WAIT_SECONDS = 330.0
_OK = 200
_STRUCTURED = "application/cloudevents+json"


@app.command("ls")
def list_(
    context: typer.Context,
    limit: options.Limit = 50,
    cursor: options.Cursor = None,
    source: Annotated[str | None, typer.Option(help="Only events of this source.")] = None,
    kind: Annotated[str | None, typer.Option("--type", help="Only events of this type.")] = None,
    provider: Annotated[str | None, typer.Option(help="Only events heard by this trigger type.")] = None,
    since: options.Since = None,
    until: options.Until = None,
) -> None:
    """List events, the newest first."""
    session = session_of(context)
    query = {"source": source, "type": kind, "provider": provider,
             "since": times.past(since), "until": times.past(until)}  # fmt: skip
    page = session.collect(_BASE, limit, cursor, **query)
    columns = {
        "ID": "id",
        "RECEIVED": lambda one: times.short(one.get("received_at")),
        "PROVIDER": "provider",
        "TYPE": "type",
        "SOURCE": "source",
        "SUBJECT": "subject",
        "AGAIN": lambda one: one.get("duplicates") or "",
    }
    output.show(session, page, lambda value: output.table(value["items"], columns, "no events"))


@app.command()
def show(context: typer.Context, event: Annotated[str, typer.Argument(metavar="EVENT")]) -> None:
    """Show an event with its data."""
    session = session_of(context)
    names = ("id", "source", "type", "subject", "provider", "time", "received_at", "event_key", "duplicates",
             "replay_of", "attributes", "data")  # fmt: skip
    output.show(session, session.client.get(f"{_BASE}/{segment(event)}"), lambda one: output.pairs(one, names))


@app.command()
def tail(
    context: typer.Context,
    kind: Annotated[str | None, typer.Option("--type", help="Only events of this type.")] = None,
    count: Annotated[int | None, typer.Option("--count", "-n", min=1, help="End after so many.")] = None,
) -> None:
    """Follow events as they come; one JSON object on a line for programs."""
    session = session_of(context)
    seen = 0
    for item in session.client.stream("/api/v1/stream", topics="events"):
        data = item["data"]
        if kind is not None and data.get("type") != kind:
            continue
        if session.machine:
            output.put({"at": item["at"], **data}, line=True)
        else:
            runs = f" -> {', '.join(data['runs'])}" if data.get("runs") else ""
            output.write(f"{times.short(item['at'])}  {data['id']}  {data['type']}  {data['source']}{runs}")
        seen += 1
        if count is not None and seen >= count:
            return


@app.command()
def send(
    context: typer.Context,
    kind: Annotated[str | None, typer.Argument(metavar="TYPE", help="The type of the event.")] = None,
    data: Annotated[list[str] | None, typer.Option("--data", "-d", metavar="K=V", help="A field of the data.")] = None,
    file: Annotated[str | None, typer.Option("--file", "-f", help="The data from a JSON or YAML file.")] = None,
    sample: Annotated[
        str | None, typer.Option(metavar="TYPE", help="A sample event of this type, or of this trigger type.")
    ] = None,
    source: Annotated[str | None, typer.Option(help="Where it comes from; `/cli` where nothing is said.")] = None,
    subject: Annotated[str | None, typer.Option(help="What it is about.")] = None,
    event_id: Annotated[str | None, typer.Option("--id", help="Its identity; the same id counts once.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the runs it starts.")] = False,
) -> None:
    """Send a CloudEvent; triggers of type `event` hear it."""
    session = session_of(context)
    shown = _sample(sample) if sample is not None else {}
    kind = kind or shown.get("type")
    if kind is None:
        raise typer.BadParameter("give the TYPE of the event, or --sample")
    source, subject = source or shown.get("source") or "/cli", subject or shown.get("subject")
    value = value_of(file) if file is not None else shown.get("data", {})
    if data:
        if not isinstance(value, dict):
            raise typer.BadParameter("-d adds fields to an object, and the file holds another value")
        value = {**value, **options.pairs(data)}
    event = {
        "specversion": "1.0",
        "id": event_id or mint(SystemClock().now()),
        "source": source,
        "type": kind,
        "datacontenttype": "application/json",
        "data": value,
    } | ({"subject": subject} if subject is not None else {})
    answer = session.client.call(
        "POST", _BASE, query={"wait": "run" if wait else "decision"}, body=event,
        headers={"content-type": _STRUCTURED}, timeout=_WAIT_SECONDS,
    )  # fmt: skip
    output.show(session, answer, _sent)


def _sample(kind: str) -> dict[str, Any]:
    from workflow_scheduler.app import trigger_types
    from workflow_scheduler.services.samples import sample_of

    return sample_of(kind, trigger_types())


@app.command()
def fixture(
    context: typer.Context,
    event: Annotated[str, typer.Argument(metavar="EVENT")],
    hide: Annotated[
        list[str] | None, typer.Option(metavar="PATH", help="Take this out too, for example data.customer.email.")
    ] = None,
) -> None:
    """Print an event as a fixture for `trigger check`: without secrets, with what each trigger made of it."""
    from workflow_scheduler.core.fixtures import made

    session = session_of(context)
    path = f"{_BASE}/{segment(event)}"
    decisions = list(session.every(f"{path}/decisions"))
    found, hidden = made(session.client.get(path), decisions, hide or ())
    output.put(found, line=session.form == "jsonl")
    if hidden:
        output.note(f"taken out: {', '.join(hidden)}")


@app.command()
def attachments(context: typer.Context, event: Annotated[str, typer.Argument(metavar="EVENT")]) -> None:
    """List the files that are stored with an event."""
    session = session_of(context)
    found = session.client.get(f"{_BASE}/{segment(event)}/attachments")
    columns = {"N": "number", "NAME": "name", "TYPE": "content_type", "BYTES": "size", "REF": "ref"}
    output.show(session, found, lambda value: output.table(value["items"], columns, "no stored attachments"))


@app.command()
def attachment(
    context: typer.Context,
    event: Annotated[str, typer.Argument(metavar="EVENT")],
    number: Annotated[int, typer.Argument(metavar="N", min=0, help="Its number, as `events attachments` lists it.")],
    to: Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="The file that is written; - prints it.")],
) -> None:
    """Save a file that is stored with an event."""
    client = session_of(context).client
    answer = client.send("GET", f"{_BASE}/{segment(event)}/attachments/{number}", timeout=_WAIT_SECONDS)
    if answer.status != _OK:
        raise problem(answer)
    if to == "-":
        typer.get_binary_stream("stdout").write(answer.content)
        return
    try:
        Path(to).write_bytes(answer.content)
    except OSError as error:
        raise typer.BadParameter(f"`{to}` cannot be written: {error.strerror}") from error
    output.note(f"{to}: {len(answer.content)} bytes")


def _sent(answer: dict[str, Any]) -> None:
    output.write(answer["event_id"])
    if answer.get("duplicate"):
        output.note("  an event with this id was accepted before; nothing new was started")
    for one in answer.get("decisions", ()):
        tell_decision(one)
    for one in answer.get("runs", ()):
        output.write(f"  run {one['run_id']} of {one['workflow']}: {one['status']}")
    if not answer.get("decisions") and not answer.get("duplicate"):
        output.note("  no trigger listens to this event")
