"""`calendar ls|show|create|update|rm|dates|diff|versions`: calendars that schedules follow."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from workflow_scheduler.cli import options, output
from workflow_scheduler.cli.session import session_of
from workflow_scheduler.cli.times import short
from workflow_scheduler.client.http import segment

app = typer.Typer(help="Calendars: holidays, working days, dates on which schedules do not run.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the calendar.")]
Country = Annotated[str | None, typer.Option(help="Public holidays of a country, such as DE.")]
Subdivision = Annotated[str | None, typer.Option(help="Of a part of the country, such as BY.")]
Ics = Annotated[Path | None, typer.Option(metavar="FILE", help="An iCalendar file; `-` is standard input.")]
Dates = Annotated[
    Path | None, typer.Option(metavar="FILE", help="A date and its name on each line: 2027-12-24 Christmas Eve.")
]
Date = Annotated[list[str] | None, typer.Option(help="One date: 2027-12-24, or '2027-12-24 Christmas Eve'.")]
Weekdays = Annotated[str | None, typer.Option(help="These days of each week: SAT,SUN.")]
Weekend = Annotated[str | None, typer.Option(help="Every day of the week but these: SAT,SUN.")]
Union = Annotated[list[str] | None, typer.Option(help="All that another calendar holds.")]
Without = Annotated[list[str] | None, typer.Option("--except", help="Less all that another calendar holds.")]
Description = Annotated[str | None, typer.Option(help="What the calendar is for.")]
From = Annotated[str | None, typer.Option("--from", help="The first date; today by default.")]
To = Annotated[str | None, typer.Option("--to", help="The last date; in a year by default.")]
_BASE = "/api/v1/calendars"


@app.command("ls")
def list_(context: typer.Context, limit: options.Limit = 50, cursor: options.Cursor = None) -> None:
    """List calendars."""
    session = session_of(context)
    columns = {"NAME": "name", "VERSION": "version", "HOLDS": "holds", "CHANGED": lambda one: short(one["updated_at"])}
    page = session.collect(_BASE, limit, cursor)
    output.show(session, page, lambda value: output.table(value["items"], columns, "no calendars"))


@app.command()
def show(context: typer.Context, name: Name) -> None:
    """Show a calendar, what it holds and who follows it."""
    session = session_of(context)
    output.show(session, session.client.get(f"{_BASE}/{segment(name)}"), _tell)


def _tell(found: dict[str, Any]) -> None:
    output.note(f"{found['name']} v{found['version']}: {found['holds']}")
    if found["description"]:
        output.note(found["description"])
    for entry in found["spec"].get("dates", ()):
        until = f" to {entry['until']}" if entry.get("until") else ""
        output.write(f"{entry['date']}{until} {entry.get('name', '')}".rstrip())
    output.table(found["used_by"], {"WORKFLOW": "workflow", "TRIGGER": "trigger"}, "no trigger follows it")


@app.command()
def create(
    context: typer.Context,
    name: Name,
    country: Country = None,
    subdivision: Subdivision = None,
    ics: Ics = None,
    dates: Dates = None,
    date: Date = None,
    weekdays: Weekdays = None,
    weekend: Weekend = None,
    union: Union = None,
    without: Without = None,
    description: Description = None,
) -> None:
    """Create a calendar from all that is given together."""
    parts = {"country": country, "subdivision": subdivision, "description": description, "union": union}
    lists = {"weekdays": weekdays, "weekend": weekend, "except": without}
    session = session_of(context)
    body = {"name": name, **_body(parts | lists, ics, dates, date)}
    output.show(session, session.client.post(_BASE, body), _told)


@app.command()
def update(
    context: typer.Context,
    name: Name,
    country: Country = None,
    subdivision: Subdivision = None,
    ics: Ics = None,
    dates: Dates = None,
    date: Date = None,
    weekdays: Weekdays = None,
    weekend: Weekend = None,
    union: Union = None,
    without: Without = None,
    description: Description = None,
) -> None:
    """Replace what a calendar holds by what is given; it takes effect from now on."""
    parts = {"country": country, "subdivision": subdivision, "description": description, "union": union}
    lists = {"weekdays": weekdays, "weekend": weekend, "except": without}
    session = session_of(context)
    stored = session.client.call("PUT", f"{_BASE}/{segment(name)}", body=_body(parts | lists, ics, dates, date))
    output.show(session, stored, _told)


def _told(stored: dict[str, Any]) -> None:
    output.note(f"calendar {stored['name']} is at version {stored['version']}: {stored['holds']}")


def _body(parts: dict[str, Any], ics: Path | None, dates: Path | None, date: list[str] | None) -> dict[str, Any]:
    body = {name: value for name, value in parts.items() if value not in (None, [])}
    for name in ("weekdays", "weekend"):
        if name in body:
            body[name] = [part.strip() for part in body[name].split(",") if part.strip()]
    if ics is not None:
        body["ics"] = _text(ics)
    listed: list[Any] = list(date or ())
    if dates is not None:
        text = _text(dates)
        if text.lstrip().startswith("["):
            listed += json.loads(text)
        else:
            lines = (line.partition("#")[0].strip() for line in text.splitlines())
            listed += [line for line in lines if line]
    if listed:
        body["dates"] = listed
    return body


def _text(path: Path) -> str:
    try:
        return sys.stdin.read() if str(path) == "-" else path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{path} cannot be read: {error}") from None


@app.command()
def rm(context: typer.Context, name: Name) -> None:
    """Delete a calendar that no trigger and no other calendar uses."""
    session = session_of(context)
    session.client.delete(f"{_BASE}/{segment(name)}")
    output.show(session, {"deleted": name}, lambda _: output.note(f"deleted {name}"))


@app.command("dates")
def dates_(
    context: typer.Context,
    name: Name,
    start: From = None,
    end: To = None,
    version: Annotated[int | None, typer.Option(min=1, help="An earlier version.")] = None,
    timezone: Annotated[str, typer.Option(help="In which stretches of time are shown.")] = "UTC",
) -> None:
    """List the days and stretches of time that a calendar holds."""
    session = session_of(context)
    query = {"from": start, "to": end, "version": version, "timezone": timezone}
    found = session.client.call("GET", f"{_BASE}/{segment(name)}/dates", query=query)
    columns = {
        "DATE": "date",
        "DAY": "weekday",
        "FROM": lambda one: short(one["start"]) if one["start"] else "",
        "TO": lambda one: short(one["end"]) if one["end"] else "",
        "NAME": "name",
        "CALENDAR": "source",
    }
    output.show(session, found, lambda value: output.table(value["items"], columns, "no days in this range"))


@app.command()
def versions(context: typer.Context, name: Name, limit: options.Limit = 50, cursor: options.Cursor = None) -> None:
    """List the versions of a calendar."""
    session = session_of(context)
    columns = {"VERSION": "version", "MADE": lambda one: short(one["created_at"]), "BY": "created_by"}
    page = session.collect(f"{_BASE}/{segment(name)}/versions", limit, cursor)
    output.show(session, page, lambda value: output.table(value["items"], columns, "no versions"))


@app.command()
def diff(
    context: typer.Context,
    name: Name,
    before: Annotated[int | None, typer.Option(min=1, help="The one before --after by default.")] = None,
    after: Annotated[int | None, typer.Option(min=1, help="The present one by default.")] = None,
    start: From = None,
    end: To = None,
) -> None:
    """List the days that an edit added and removed."""
    session = session_of(context)
    query = {"before": before, "after": after, "from": start, "to": end}
    found = session.client.call("GET", f"{_BASE}/{segment(name)}/diff", query=query)
    output.show(session, found, _tell_diff)


def _tell_diff(found: dict[str, Any]) -> None:
    rows = [{**one, "sign": sign} for sign, kind in (("+", "added"), ("-", "removed")) for one in found[kind]]
    rows += [{**one, "sign": "~"} for one in found["renamed"]]
    rows.sort(key=lambda row: row["date"])
    columns = {"": "sign", "DATE": "date", "DAY": "weekday", "NAME": "name", "CALENDAR": "source"}
    output.table(rows, columns, f"versions {found['before']} and {found['after']} have the same days")
