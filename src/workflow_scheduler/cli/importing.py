"""`import KIND FILE`: definitions from the schedules and the workflows of other systems."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workflow_scheduler.cli import files, import_graphs, import_view, output, times
from workflow_scheduler.cli.exits import Exit
from workflow_scheduler.cli.session import session_of

if TYPE_CHECKING:
    from workflow_scheduler.core.time.dialects.entry import Imported, Unread

    Found = Iterable[Imported | Unread]

app = typer.Typer(help="Take workflows over from other systems; needs no service.", no_args_is_help=True)
File = Annotated[str, typer.Argument(help="The file, or - for standard input.")]
HostZone = Annotated[str, typer.Option("--timezone", help="IANA name of the zone the old system ran in.")]
Out = Annotated[str | None, typer.Option("--out", help="Write one definition file for each entry into this folder.")]
Start = Annotated[str | None, typer.Option("--from", help="Compare five years from here: ISO 8601; now by default.")]
AsBefore = Annotated[bool, typer.Option("--as-before", help="Keep what the old system did at clock changes.")]


def _schedules(name: str, read: Callable[[str, str], Found], about: str, *, zoned: bool = True) -> None:
    """Add the command that imports the schedules of one system, which may have a time zone of its own."""

    def with_zone(
        context: typer.Context,
        file: File,
        timezone: HostZone = "UTC",
        out: Out = None,
        start: Start = None,
        as_before: AsBefore = False,
    ) -> None:
        _carry_out(context, read(file, timezone), out, start, as_before)

    def without_zone(
        context: typer.Context, file: File, out: Out = None, start: Start = None, as_before: AsBefore = False
    ) -> None:
        _carry_out(context, read(file, "UTC"), out, start, as_before)

    app.command(name, help=about)(with_zone if zoned else without_zone)


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

    _carry_out(context, dialect.entries(_text(file), timezone, system=system), out, start, as_before)


def _text(file: str) -> str:
    return files.content(file).decode("utf-8", "replace")


def _kubernetes(file: str, timezone: str) -> Found:
    from workflow_scheduler.core.time.dialects import kubernetes as dialect

    return dialect.entries(files.values_of(file), timezone)


def _eventbridge(file: str, _timezone: str) -> Found:
    from workflow_scheduler.core.time.dialects import eventbridge as dialect

    return dialect.entries(files.value_of(file))


def _quartz(file: str, timezone: str) -> Found:
    from workflow_scheduler.core.time.dialects import quartz as dialect

    return dialect.entries(_text(file), timezone)


def _airflow(file: str, timezone: str) -> Found:
    from workflow_scheduler.core.time.dialects import airflow as dialect

    return dialect.entries(_text(file), timezone)


def _kestra(file: str, timezone: str) -> Found:
    from workflow_scheduler.core.time.dialects import kestra as dialect

    documents = [(one.value, lambda path, one=one: one.place(path)[0]) for one in files.documents_of(file)]
    return dialect.entries(documents, timezone)


_schedules(
    "kubernetes",
    _kubernetes,
    "Import CronJobs from manifests (`kubectl get cronjobs -o yaml`), with every occurrence that would differ.",
)
_schedules(
    "eventbridge",
    _eventbridge,
    "Import rules and schedules as `aws events list-rules` or `aws scheduler get-schedule` print them.",
    zoned=False,
)
_schedules(
    "quartz",
    _quartz,
    "Import Quartz expressions (one a line), a quartz_jobs.xml, or the @Scheduled methods of a source file.",
)
_schedules(
    "airflow",
    _airflow,
    "Import the DAGs of a Python file, which is read and never executed; tasks become a skeleton of jobs.",
)
_schedules(
    "kestra", _kestra, "Import the Schedule triggers of Kestra flows; their tasks become jobs, one after the other."
)
app.command("github-actions")(import_graphs.github_actions)
app.command()(import_graphs.argo)
app.command()(import_graphs.wfformat)


def _carry_out(context: typer.Context, found: Found, out: str | None, start: str | None, as_before: bool) -> None:
    from workflow_scheduler.services.imports import schedules

    result = schedules(found, _begin(start), as_before=as_before)
    if out is not None:
        import_view.save(result["items"], Path(out))
    output.show(session_of(context), result, lambda value: import_view.tell(value, written=out is not None))
    if result["unread"] or not result["items"]:
        raise typer.Exit(Exit.FAILED)


def _begin(start: str | None) -> int:
    from workflow_scheduler.core.time.clock import SystemClock, from_iso

    moment = times.future(start)
    return SystemClock().now() if moment is None else from_iso(moment)
