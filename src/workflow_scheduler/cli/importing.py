"""`import KIND FILE`: definitions from the schedules of other systems."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workflow_scheduler.cli import files, output, times
from workflow_scheduler.cli.exits import Exit
from workflow_scheduler.cli.session import session_of

if TYPE_CHECKING:
    from workflow_scheduler.core.time.dialects.entry import Imported, Unread

app = typer.Typer(help="Take schedules over from other systems; needs no service.", no_args_is_help=True)
File = Annotated[str, typer.Argument(help="The file, or - for standard input.")]
HostZone = Annotated[str, typer.Option("--timezone", help="IANA name of the zone the old system ran in.")]
Out = Annotated[str | None, typer.Option("--out", help="Write one definition file for each entry into this folder.")]
Start = Annotated[str | None, typer.Option("--from", help="Compare five years from here: ISO 8601; now by default.")]
AsBefore = Annotated[bool, typer.Option("--as-before", help="Keep what the old system did at clock changes.")]
_SHOWN = 20


@app.command()
def crontab(
    context: typer.Context,
    file: File,
    timezone: HostZone = "UTC",
    out: Out = None,
    start: Start = None,
    as_before: AsBefore = False,
    system: Annotated[bool, typer.Option("--system", help="Lines name a user, as in /etc/crontab.")] = False,
) -> None:
    """Import a crontab, with every occurrence of five years that would differ."""
    from workflow_scheduler.core.time.dialects import crontab as dialect

    text = files.content(file).decode("utf-8", "replace")
    _carry_out(context, dialect.entries(text, timezone, system=system), out, start, as_before)


@app.command()
def kubernetes(
    context: typer.Context,
    file: File,
    timezone: HostZone = "UTC",
    out: Out = None,
    start: Start = None,
    as_before: AsBefore = False,
) -> None:
    """Import CronJobs from manifests (`kubectl get cronjobs -o yaml`), with every occurrence that would differ."""
    from workflow_scheduler.core.time.dialects import kubernetes as dialect

    _carry_out(context, dialect.entries(files.values_of(file), timezone), out, start, as_before)


@app.command()
def eventbridge(
    context: typer.Context,
    file: File,
    out: Out = None,
    start: Start = None,
    as_before: AsBefore = False,
) -> None:
    """Import rules and schedules as `aws events list-rules` or `aws scheduler get-schedule` print them."""
    from workflow_scheduler.core.time.dialects import eventbridge as dialect

    _carry_out(context, dialect.entries(files.value_of(file)), out, start, as_before)


@app.command()
def quartz(
    context: typer.Context,
    file: File,
    timezone: HostZone = "UTC",
    out: Out = None,
    start: Start = None,
    as_before: AsBefore = False,
) -> None:
    """Import Quartz expressions (one a line), a quartz_jobs.xml, or the @Scheduled methods of a source file."""
    from workflow_scheduler.core.time.dialects import quartz as dialect

    text = files.content(file).decode("utf-8", "replace")
    _carry_out(context, dialect.entries(text, timezone), out, start, as_before)


@app.command()
def airflow(
    context: typer.Context,
    file: File,
    timezone: HostZone = "UTC",
    out: Out = None,
    start: Start = None,
    as_before: AsBefore = False,
) -> None:
    """Import the DAGs of a Python file, which is read and never executed; tasks become a skeleton of jobs."""
    from workflow_scheduler.core.time.dialects import airflow as dialect

    text = files.content(file).decode("utf-8", "replace")
    _carry_out(context, dialect.entries(text, timezone), out, start, as_before)


@app.command()
def kestra(
    context: typer.Context,
    file: File,
    timezone: HostZone = "UTC",
    out: Out = None,
    start: Start = None,
    as_before: AsBefore = False,
) -> None:
    """Import the Schedule triggers of Kestra flows; their tasks become jobs, one after the other."""
    from workflow_scheduler.core.time.dialects import kestra as dialect

    documents = [(one.value, lambda path, one=one: one.place(path)[0]) for one in files.documents_of(file)]
    _carry_out(context, dialect.entries(documents, timezone), out, start, as_before)


@app.command("github-actions")
def github_actions(
    context: typer.Context, file: File, out: Out = None, start: Start = None, as_before: AsBefore = False
) -> None:
    """Import the schedules of a workflow of GitHub Actions."""
    from workflow_scheduler.core.time.dialects import github_actions as dialect

    _carry_out(context, dialect.entries(files.values_of(file)), out, start, as_before)


def _carry_out(
    context: typer.Context, found: Iterable[Imported | Unread], out: str | None, start: str | None, as_before: bool
) -> None:
    from workflow_scheduler.core.time.clock import SystemClock, from_iso
    from workflow_scheduler.core.time.dialects import compare, entry

    session = session_of(context)
    moment = times.future(start)
    begin = SystemClock().now() if moment is None else from_iso(moment)
    read, unread = entry.every_entry(found)
    kept = [compare.as_before(one) for one in read] if as_before else read
    items = [_item(one, begin) for one in kept]
    result = {
        "items": items,
        "unread": [{"line": one.line, "source": one.source, "message": one.message} for one in unread],
        "next": None,
    }
    if out is not None:
        _save(items, Path(out))
    output.show(session, result, lambda value: _tell(value, written=out is not None))
    if unread or not items:
        raise typer.Exit(Exit.FAILED)


def _item(one: Imported, begin: int) -> dict[str, Any]:
    import msgspec

    from workflow_scheduler.core.time.dialects import compare

    found = compare.differences(one, begin)
    return {
        "name": one.name,
        "source": one.source,
        "line": one.line,
        "definition": {
            "version": 1,
            "name": one.name,
            **one.more,
            "triggers": {"schedule": one.trigger},
            "jobs": one.jobs,
        },
        "notes": one.notes,
        "differences": msgspec.to_builtins(found.items),
        "complete": found.complete,
    }


def _yaml(definitions: list[dict[str, Any]]) -> str:
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    text = io.StringIO()
    yaml.dump_all(definitions, text)
    return text.getvalue()


def _save(items: list[dict[str, Any]], folder: Path) -> None:
    """Write one file for each entry; a file that is there already is left alone.

    Raises:
        BadParameter: a file exists, or the folder cannot be written.

    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for item in items:
            with (folder / f"{item['name']}.yaml").open("x", encoding="utf-8") as file:
                file.write(_yaml([item["definition"]]))
    except FileExistsError as error:
        raise typer.BadParameter(f"{error.filename} exists; choose another --out") from None
    except OSError as error:
        raise typer.BadParameter(f"cannot write to {folder}: {error.strerror}") from None


def _tell(result: dict[str, Any], *, written: bool) -> None:
    if not written and result["items"]:
        output.write(_yaml([item["definition"] for item in result["items"]]).rstrip())
    for item in result["items"]:
        output.note(f"{item['name']}: {item['source']}")
        for text in item["notes"]:
            output.note(f"  note: {text}")
        differing = item["differences"]
        for one in differing[:_SHOWN]:
            output.note(f"  {one['note']} ({one['timezone']})")
        more = len(differing) - _SHOWN
        if more > 0:
            output.note(f"  and {more}{'' if item['complete'] else ' or more'} others; --json lists them")
    for one in result["unread"]:
        place = "" if one["line"] is None else f"line {one['line']}: "
        output.note(f"not imported: {place}{one['source']}: {one['message']}")
    total = sum(len(item["differences"]) for item in result["items"])
    output.note(
        f"{len(result['items'])} imported, {len(result['unread'])} not; {total} occurrences differ in five years"
    )
