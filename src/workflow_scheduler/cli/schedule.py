"""`schedule ls|show|create|trigger|pause|resume|skip|unskip|times|preview|rm`: time triggers without a file."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from workflow_scheduler.cli import options, output, times
from workflow_scheduler.cli.exits import Exit
from workflow_scheduler.cli.files import input_of
from workflow_scheduler.cli.pauses import told
from workflow_scheduler.cli.session import session_of
from workflow_scheduler.cli.trigger import found
from workflow_scheduler.client.http import segment

app = typer.Typer(help="Schedules: time triggers, also without a file.", no_args_is_help=True)
Reference = Annotated[str, typer.Argument(metavar="SCHEDULE", help="Id, or WORKFLOW/NAME.")]
Cron = Annotated[str | None, typer.Option(help="Cron expression.")]
Every = Annotated[str | None, typer.Option(help="A span: 90s, 15m, 2h.")]
At = Annotated[str | None, typer.Option("--at", help="One time: ISO 8601, or 2h for in two hours.")]
Rrule = Annotated[str | None, typer.Option(help="A recurrence rule: FREQ=MONTHLY;BYDAY=-1FR; needs --dtstart.")]
Dtstart = Annotated[str | None, typer.Option(help="Beginning of --rrule: 2027-01-01T09:00:00, in --timezone.")]
Zone = Annotated[str | None, typer.Option(help="IANA name of the time zone.")]
Exclude = Annotated[list[str] | None, typer.Option(help="A calendar on whose days it does not run.")]
Only = Annotated[list[str] | None, typer.Option(help="A calendar on whose days alone it runs.")]
Shift = Annotated[
    Literal["next_business_day", "previous_business_day", "nearest"] | None,
    typer.Option(help="Move such times to a day that the calendars allow."),
]
_BASE = "/api/v1/schedules"
_PAGE_MAX = 500


@app.command("ls")
def list_(
    context: typer.Context,
    limit: options.Limit = 50,
    cursor: options.Cursor = None,
    workflow: options.Workflow = None,
) -> None:
    """List the schedules of deployed workflows."""
    session = session_of(context)
    page = session.collect(_BASE, limit, cursor, workflow=workflow)
    columns = {
        "SCHEDULE": lambda one: f"{one['workflow']}/{one['name']}",
        "WHEN": lambda one: one["cron"] or one["every"] or one["run_at"] or one["rrule"],
        "ZONE": "timezone",
        "NEXT": lambda one: "completed" if one["completed"] else times.short(one["next_fire_at"]),
        "PAUSED": lambda one: f"paused{told(one)}" if one["paused"] else "",
        "ID": "id",
    }
    output.show(session, page, lambda value: output.table(value["items"], columns, "no schedules"))


@app.command()
def show(context: typer.Context, schedule: Reference) -> None:
    """Show a schedule."""
    session = session_of(context)
    one = session.client.get(f"{_BASE}/{segment(found(session, schedule)['id'])}")
    names = ("id", "workflow", "name", "type", "cron", "every", "run_at", "rrule", "timezone", "input", "paused",
             "paused_reason", "paused_by", "paused_until", "completed", "next_fire_at", "last_fired_at")  # fmt: skip
    output.show(session, one, lambda value: output.pairs(value, names))


@app.command()
def create(
    context: typer.Context,
    workflow: Annotated[str, typer.Argument(help="Name or id of the workflow.")],
    name: Annotated[str, typer.Argument(help="Name of the new trigger.")],
    cron: Cron = None,
    every: Every = None,
    at: At = None,
    rrule: Rrule = None,
    dtstart: Dtstart = None,
    timezone: Zone = None,
    exclude: Exclude = None,
    only: Only = None,
    shift: Shift = None,
    start_at: Annotated[str | None, typer.Option(help="No fire before: ISO 8601, or 2h for in two hours.")] = None,
    end_at: Annotated[str | None, typer.Option(help="No fire after: ISO 8601, or 2h for in two hours.")] = None,
    skip: Annotated[list[str] | None, typer.Option(help="A time that does not run, repeatable.")] = None,
    max_fires: Annotated[int | None, typer.Option(help="Complete it after so many runs.")] = None,
    pause_after_failures: Annotated[int | None, typer.Option(help="Pause it after so many failures in a row.")] = None,
    misfire_grace: Annotated[str | None, typer.Option(help="Late by no more than this is on time: 60s.")] = None,
    catchup: Annotated[str | None, typer.Option(help="What runs after downtime: none, latest or all.")] = None,
    catchup_window: Annotated[str | None, typer.Option(help="What was missed longer ago never runs: 24h.")] = None,
    catchup_max: Annotated[int | None, typer.Option(help="At most so many missed fires run.")] = None,
    catchup_rate: Annotated[str | None, typer.Option(help="How fast missed fires start: 10/m.")] = None,
    on_resume: Annotated[str | None, typer.Option(help="What runs after a pause: none, latest or all.")] = None,
    overlap: Annotated[str | None, typer.Option(help="While a run is under way: skip, queue_one and others.")] = None,
    jitter: Annotated[str | None, typer.Option(help="Spread starts over this long: 30s.")] = None,
    dst_gap: Annotated[str | None, typer.Option(help="Missing times: after, shift or skip.")] = None,
    dst_overlap: Annotated[str | None, typer.Option(help="Doubled times: first, last or both.")] = None,
    data: Annotated[list[str] | None, typer.Option("--data", "-d", metavar="K=V", help="A field of the input.")] = None,
) -> None:
    """Add a schedule to a workflow; exactly one of --cron, --every, --at and --rrule."""
    session = session_of(context)
    body: dict[str, Any] = {
        "workflow": workflow,
        "name": name,
        **_rule(cron, every, at, rrule),
        **_place(dtstart, timezone),
        **_calendars(exclude, only, shift),
    }
    further = {
        "start_at": times.future(start_at), "end_at": times.future(end_at), "skip": skip, "max_fires": max_fires,
        "pause_after_failures": pause_after_failures, "misfire_grace": misfire_grace, "catchup": catchup,
        "catchup_window": catchup_window, "catchup_max": catchup_max, "catchup_rate": catchup_rate,
        "on_resume": on_resume, "overlap": overlap, "jitter": jitter, "dst_gap": dst_gap, "dst_overlap": dst_overlap,
    }  # fmt: skip
    body |= {field: value for field, value in further.items() if value is not None}
    if data:
        body["input"] = options.pairs(data)
    made = session.client.post(_BASE, body)
    output.show(session, made, lambda one: output.write(f"{one['id']} next {times.short(one['next_fire_at'])}"))


def _rule(cron: str | None, every: str | None, at: str | None, rrule: str | None) -> dict[str, Any]:
    rules = {"cron": cron, "every": every, "run_at": times.future(at), "rrule": rrule}
    given = {name: value for name, value in rules.items() if value is not None}
    if len(given) != 1:
        raise typer.BadParameter("give exactly one of --cron, --every, --at and --rrule")
    return given


def _place(dtstart: str | None, timezone: str | None) -> dict[str, str]:
    return {name: value for name, value in (("dtstart", dtstart), ("timezone", timezone)) if value}


def _calendars(exclude: list[str] | None, only: list[str] | None, shift: str | None) -> dict[str, Any]:
    found = {name: value for name, value in (("exclude", exclude), ("only", only), ("shift", shift)) if value}
    return {"calendars": found} if found else {}


@app.command()
def trigger(
    context: typer.Context,
    schedule: Reference,
    data: Annotated[list[str] | None, typer.Option("--data", "-d", metavar="K=V", help="A field of the input.")] = None,
    file: Annotated[str | None, typer.Option("--file", "-f", help="Input from a JSON or YAML file.")] = None,
    key: Annotated[str | None, typer.Option("--key", help="Idempotency key: equal keys start one run.")] = None,
) -> None:
    """Start a run beside its times, with its own input or another one; also while it is paused."""
    session = session_of(context)
    body = {"input": input_of(data or [], file)} if data or file else {}
    path = f"{_BASE}/{segment(found(session, schedule)['id'])}/trigger"
    started = session.client.post(path, body, idempotency_key=key)
    output.show(session, started, _tell_started)
    if started["run_id"] is None:
        raise typer.Exit(Exit.FAILED)


def _tell_started(started: dict[str, Any]) -> None:
    if started["run_id"] is None:
        output.note(f"no run was started: {started['outcome']}, {started['reason']}")
        return
    output.write(started["run_id"])
    if started["reason"] == "started_while_paused":
        output.note("it is paused: this run was started all the same")


@app.command()
def pause(
    context: typer.Context,
    schedule: Reference,
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    until: Annotated[str | None, typer.Option(help="Go on by itself then.")] = None,
) -> None:
    """Pause a schedule; nothing accrues meanwhile."""
    session = session_of(context)
    path = f"{_BASE}/{segment(found(session, schedule)['id'])}/pause"
    done = session.client.post(path, {"reason": reason, "until": times.future(until)})
    output.show(session, done, lambda one: output.write(f"{one['workflow']}/{one['name']}: paused{told(one)}"))


@app.command()
def resume(
    context: typer.Context,
    schedule: Reference,
    missed: Annotated[
        Literal["none", "latest", "all"] | None,
        typer.Option(help="What becomes of times that passed; by default what its on_resume says."),
    ] = None,
) -> None:
    """Resume a schedule."""
    session = session_of(context)
    done = session.client.post(f"{_BASE}/{segment(found(session, schedule)['id'])}/resume", {"missed": missed})
    output.show(session, done, _resumed)


def _resumed(one: dict[str, Any]) -> None:
    output.write(f"{one['workflow']}/{one['name']}: next {times.short(one['next_fire_at'])}")


@app.command()
def skip(
    context: typer.Context,
    schedule: Reference,
    at: Annotated[
        str | None, typer.Option(help="Which time: ISO 8601, to the minute; the next one by default.")
    ] = None,
) -> None:
    """Skip one time to come; it is recorded as skipped."""
    session = session_of(context)
    path = f"{_BASE}/{segment(found(session, schedule)['id'])}/skip"
    done = session.client.post(path, {"at": times.future(at)})
    output.show(session, done, lambda one: output.write(f"{one['workflow']}/{one['name']}: skips {one['at']}"))


@app.command()
def unskip(
    context: typer.Context,
    schedule: Reference,
    at: Annotated[str, typer.Option(help="Which time: ISO 8601, to the minute.")],
) -> None:
    """Let a time that was skipped run after all."""
    session = session_of(context)
    path = f"{_BASE}/{segment(found(session, schedule)['id'])}/unskip"
    done = session.client.post(path, {"at": times.future(at)})
    output.show(session, done, lambda one: output.write(f"{one['workflow']}/{one['name']}: runs at {one['at']}"))


@app.command("times")
def times_(
    context: typer.Context,
    schedule: Reference,
    start: Annotated[
        str | None, typer.Option("--from", help="ISO 8601, or 2d for two days ago; a week by default.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="ISO 8601, or 2d for in two days; a week by default.")] = None,
    limit: options.Limit = 100,
) -> None:
    """Show what became of each of its times in a range, those to come, and the sums."""
    session = session_of(context)
    path = f"{_BASE}/{segment(found(session, schedule)['id'])}/occurrences"
    query = {"from": times.past(start), "to": times.future(end), "limit": min(limit, _PAGE_MAX)}
    ledger = session.client.call("GET", path, query=query)
    while ledger["next"] is not None and len(ledger["items"]) < limit:
        more = session.client.call("GET", path, query={**query, "from": ledger["from"], "cursor": ledger["next"]})
        ledger = {**more, "items": ledger["items"] + more["items"]}
    output.show(session, {**ledger, "items": ledger["items"][:limit]}, _tell_ledger)


def _tell_ledger(ledger: dict[str, Any]) -> None:
    columns = {
        "LOCAL": "nominal_local",
        "UTC": "utc",
        "OUTCOME": "outcome",
        "REASON": lambda one: one.get("reason") or "",
        "RUN": lambda one: one.get("run_id") or "",
        "NOTE": lambda one: one.get("note") or "",
    }
    output.table(ledger["items"], columns, "it has no times in that range")
    sums = ledger["sums"]
    parts = ("fired", "skipped", "missed", "coalesced", "superseded", "pending", "upcoming")
    output.note(f"{sums['planned']} planned = " + " + ".join(f"{sums[name]} {name}" for name in parts))


@app.command()
def preview(
    context: typer.Context,
    cron: Cron = None,
    every: Every = None,
    at: At = None,
    rrule: Rrule = None,
    dtstart: Dtstart = None,
    timezone: Zone = None,
    exclude: Exclude = None,
    only: Only = None,
    shift: Shift = None,
    count: Annotated[int, typer.Option("-n", "--count", min=1, max=1000, help="How many times.")] = 10,
    workflow: Annotated[str | None, typer.Option(help="Show the blackouts of this workflow, by name or id.")] = None,
) -> None:
    """Show the next times of a rule, as the service computes them."""
    session = session_of(context)
    rule = {**_rule(cron, every, at, rrule), **_place(dtstart, timezone), **_calendars(exclude, only, shift)}
    rule |= {"workflow": workflow} if workflow else {}
    fires = session.client.post(f"{_BASE}/preview", {**rule, "count": count})
    columns = {
        "LOCAL": "local",
        "UTC": "utc",
        "NOTE": lambda one: f"does not run: {one['note']}" if one.get("outcome") == "skipped" else one["note"] or "",
    }
    output.show(session, fires, lambda value: output.table(value["fires"], columns, "it never fires"))


@app.command()
def rm(context: typer.Context, schedule: Reference) -> None:
    """Remove a schedule from its workflow; its runs and records stay."""
    session = session_of(context)
    session.client.delete(f"{_BASE}/{segment(found(session, schedule)['id'])}")
    output.show(session, {"deleted": schedule}, lambda _: output.note(f"deleted {schedule}"))
