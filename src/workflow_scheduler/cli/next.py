"""`next`: the times at which schedules and cron expressions are due."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from workflow_scheduler.cli import output, times
from workflow_scheduler.cli.session import Session, session_of
from workflow_scheduler.client.http import segment
from workflow_scheduler.core.errors import NotFound

Name = Annotated[str | None, typer.Argument(metavar="[NAME]", help="Name or id of a workflow; all by default.")]
_YEARS_SHOWN = "8766h"


def next_(
    context: typer.Context,
    name: Name = None,
    count: Annotated[int, typer.Option("-n", "--count", min=1, max=1000, help="How many times.")] = 10,
    cron: Annotated[str | None, typer.Option(help="A cron expression, evaluated here; needs no service.")] = None,
    timezone: Annotated[str, typer.Option(help="IANA name of the zone of --cron.")] = "UTC",
    start: Annotated[str | None, typer.Option("--from", help="Begin here: ISO 8601, or 2h for in two hours.")] = None,
    lab: Annotated[bool, typer.Option("--lab", help="Every time of --cron that a clock change touches.")] = False,
    years: Annotated[int, typer.Option(min=1, max=100, help="How many years --lab examines.")] = 10,
    dst_gap: Annotated[
        Literal["after", "shift", "skip"], typer.Option(help="--lab: what a missing time does.")
    ] = "after",
    dst_overlap: Annotated[
        Literal["first", "last", "both"], typer.Option(help="--lab: which copies of a doubled time run.")
    ] = "first",
    exclude: Annotated[
        list[str] | None, typer.Option(help="--lab: a calendar of the service whose days do not run; repeatable.")
    ] = None,
) -> None:
    """Show the next times of a workflow's schedules, or of a cron expression."""
    session = session_of(context)
    if lab:
        if cron is None:
            raise typer.BadParameter("--lab needs --cron")
        rule = {"cron": cron, "timezone": timezone, "dst_gap": dst_gap, "dst_overlap": dst_overlap, "years": years}
        found = _examined(session, rule, times.future(start), exclude)
        output.show(session, found, _tell_lab)
        return
    if cron is not None and name is not None:
        raise typer.BadParameter("give either NAME or --cron")
    if cron is not None:
        output.show(session, _computed(cron, timezone, times.future(start), count), _tell_fires)
        return
    found = _scheduled(session, name, count, times.future(start))
    output.show(session, found, _tell_schedules)


def _computed(cron: str, timezone: str, start: str | None, count: int) -> dict[str, Any]:
    """Return the times of an expression at or after `start`."""
    from workflow_scheduler.core.time import cron as crons
    from workflow_scheduler.core.time import dst, zone
    from workflow_scheduler.core.time.clock import SystemClock, from_iso, to_iso

    parsed, place = crons.parse(cron), zone.load(timezone)
    after = SystemClock().now() if start is None else from_iso(start) - 1
    fires: list[dict[str, Any]] = []
    while len(fires) < count:
        fire = dst.next_fire(parsed, place, after)
        if fire is None:
            break
        fires.append({"utc": to_iso(fire.utc), "local": fire.local, "fold": fire.fold, "note": fire.note})
        after = fire.utc
    return {
        "cron": parsed.expression,
        "timezone": timezone,
        "description": crons.describe(parsed),
        "fires": fires,
        "items": fires,
        "next": None,
    }


def _examined(session: Session, rule: dict[str, Any], start: str | None, exclude: list[str] | None) -> dict[str, Any]:
    """Return what clock changes do to an expression; only calendars need the service."""
    import msgspec

    from workflow_scheduler.core.time import lab
    from workflow_scheduler.core.time.clock import SystemClock, from_iso

    found: dict[str, Any]
    if exclude:
        body = {**rule, "from": start, "calendars": {"exclude": exclude}}
        found = session.client.post("/api/v1/schedules/lab", {name: one for name, one in body.items() if one})
    else:
        begin = SystemClock().now() if start is None else from_iso(start)
        policy = (rule["dst_gap"], rule["dst_overlap"])
        report = lab.examine(rule["cron"], rule["timezone"], begin, rule["years"], policy)
        found = msgspec.to_builtins(report)
    return found


def _tell_lab(found: dict[str, Any]) -> None:
    output.note(f"{found['description']} ({found['timezone']}, tzdata {found['tzdata']}); {found['rule']}")
    output.note(f"{found['changes']} clock changes from {found['from'][:10]} to {found['to'][:10]}")
    columns = {"LOCAL": "local", "UTC": lambda one: one["utc"] or "-", "NOTE": "note"}
    output.table(found["items"], columns, "no clock change touches it")
    for day in found["days"]:
        output.note(f"{day['date']}: {day['note']}")
    if not found["complete"]:
        output.note("more times are touched than are listed; ask for fewer --years")


def _tell_fires(found: dict[str, Any]) -> None:
    output.note(f"{found['description']} ({found['timezone']})")
    output.table(
        found["fires"], {"LOCAL": "local", "UTC": "utc", "NOTE": lambda one: one["note"] or ""}, "it never fires"
    )


def _scheduled(session: Session, name: str | None, count: int, start: str | None) -> dict[str, Any]:
    schedules = [one for one in session.every("/api/v1/schedules", workflow=name) if "error" not in one]
    if name is not None and not schedules:
        raise NotFound(f"`{name}` has no schedule that is deployed", fix=f"workflow-scheduler workflow show {name}")
    rows: list[dict[str, Any]] = []
    for one in schedules:
        rows += _planned(session, one, count, start)
    rows.sort(key=lambda row: row["utc"])
    return {"items": rows[:count], "next": None}


def _planned(session: Session, schedule: dict[str, Any], count: int, start: str | None) -> list[dict[str, Any]]:
    """Return the coming times of one schedule; one that is paused or completed has none."""
    if schedule["completed"] or schedule["next_fire_at"] is None:
        return []
    query = {"from": start or times.future("0s"), "to": times.future(_YEARS_SHOWN), "limit": count}
    path = f"/api/v1/schedules/{segment(schedule['id'])}/occurrences"
    found = session.client.call("GET", path, query=query)["items"]
    return [
        {
            "workflow": schedule["workflow"],
            "trigger": schedule["name"],
            "local": one["nominal_local"],
            "utc": one["utc"],
            "timezone": one["timezone"],
            "note": one["note"],
            "outcome": one["outcome"],
        }
        for one in found
        if one["outcome"] == "planned" or one["reason"] in {"calendar", "blackout"}
    ]


def _tell_schedules(found: dict[str, Any]) -> None:
    columns = {
        "UTC": "utc",
        "LOCAL": "local",
        "ZONE": "timezone",
        "WORKFLOW": "workflow",
        "TRIGGER": "trigger",
        "NOTE": lambda one: f"does not run: {one['note']}" if one["outcome"] == "skipped" else one["note"] or "",
    }
    output.table(found["items"], columns, "no schedule is due")
