"""Output: data on standard output, messages on standard error, JSON when a program reads it."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from workflow_scheduler.cli.session import Session
from workflow_scheduler.core.errors import FieldError, SchedulerError

if TYPE_CHECKING:
    from rich.console import Console

_LISTS = re.compile(r"GET /api/v1/([a-z-]+)")
_COMMANDS = {
    "backfills": "backfills ls",
    "connections": "connection ls",
    "dead-letters": "dead ls",
    "events": "events ls",
    "github": "github ls",
    "keys": "key ls",
    "quarantine": "quarantine ls",
    "runs": "runs ls",
    "schedules": "schedule ls",
    "secrets": "secret ls",
    "templates": "template ls",
    "triggers": "trigger ls",
    "workflows": "workflow ls",
}
_PLAIN_WIDTH = 100_000
_CELL_MAX = 300
_GOOD = frozenset({"SUCCEEDED", "run_started", "fired", "DEPLOYED", "active", "enabled", "healthy", "ok", "matched"})
_BAD = frozenset({"FAILED", "DEPLOYMENT_FAILED", "dead_lettered", "failed", "unhealthy", "dead"})
_MIDDLE = frozenset({"RUNNING", "QUEUED", "PAUSED", "deferred", "held", "suspended", "pending", "warning", "degraded"})
_DIM = frozenset({"SKIPPED", "CANCELLED", "filtered", "skipped", "duplicate", "disabled", "inactive", "UNDEPLOYED"})


def write(text: str = "") -> None:
    """Write a line of data."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """Write a line for the reader, not for a pipe."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def put(value: Any, *, line: bool = False) -> None:
    """Write a value as JSON, on one line if wanted."""
    encoded = msgspec.json.encode(value)
    write((encoded if line else msgspec.json.format(encoded, indent=2)).decode())


def show(session: Session, value: Any, render: Callable[[Any], None]) -> None:
    """Write one answer: as JSON for programs, else as `render` does it for people."""
    if session.form == "jsonl" and isinstance(value, dict) and isinstance(value.get("items"), list):
        for item in value["items"]:
            put(item, line=True)
    elif session.machine:
        put(value, line=session.form == "jsonl")
    else:
        render(value)


def each(render: Callable[[Any], None]) -> Callable[[Any], None]:
    """Return a rendering of a list (or of its page) that renders every item."""

    def all_of(value: Any) -> None:
        for item in value["items"] if isinstance(value, dict) else value:
            render(item)

    return all_of


def console() -> Console:
    """Return the console for people: colour on a terminal only, and no wrapping in files and pipes."""
    from rich.console import Console

    if sys.stdout.isatty():
        return Console(highlight=False)
    return Console(highlight=False, width=_PLAIN_WIDTH, color_system=None, force_terminal=False)


def table(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, Any], none: str = "") -> None:
    """Write rows as aligned columns; a column is a key of the row or a function of it. `none` is said of no rows."""
    found = list(rows)
    if not found:
        if none:
            note(none)
        return
    from rich.table import Table

    grid = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in columns:
        grid.add_column(name, overflow="fold" if name in {"ID", "RUN", "EVENT"} else "ellipsis")
    for row in found:
        grid.add_row(*(_cell(part(row) if callable(part) else row.get(part)) for part in columns.values()))
    screen = console()
    with screen.capture() as captured:
        screen.print(grid)
    for line in captured.get().splitlines():
        write(line.rstrip())


def pairs(value: Mapping[str, Any], names: Sequence[str]) -> None:
    """Write the named facts of one thing, one on a line; those that are missing are left out."""
    shown = [(name, value[name]) for name in names if value.get(name) not in (None, "", [], {})]
    width = max((len(name) for name, _ in shown), default=0)
    for name, part in shown:
        write(f"{name.replace('_', ' '):<{width}}  {brief(part, 2_000)}")


def brief(value: Any, most: int = _CELL_MAX) -> str:
    """Return a value as one short line."""
    if value is None:
        return "-"
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"


def _cell(value: Any) -> Any:
    from rich.text import Text

    text = brief(value)
    return Text(text, style=style(text))


def style(word: str) -> str:
    """Return the colour of a status, an outcome or a mode; nothing for other words."""
    for words, colour in ((_GOOD, "green"), (_BAD, "red"), (_MIDDLE, "yellow"), (_DIM, "dim")):
        if word in words:
            return colour
    return ""


def complain(session: Session, error: SchedulerError) -> None:
    """Write what went wrong, why, and what to do; as a problem object for programs."""
    if session.machine:
        sys.stderr.write(msgspec.json.encode(problem_of(error)).decode() + "\n")
        return
    note(f"error: {error.detail}")
    for one in error.errors:
        note(f"  {issue(one)}")
    if error.fix:
        note(f"  try: {_LISTS.sub(_command, error.fix)}")


def _command(found: re.Match[str]) -> str:
    """Return the command that does what a request of the API does, where there is one."""
    command = _COMMANDS.get(found[1])
    return f"workflow-scheduler {command}" if command else found[0]


def problem_of(error: SchedulerError) -> dict[str, Any]:
    """Return an error as a problem object."""
    return {
        "code": error.code,
        "status": error.status,
        "detail": error.detail,
        "fix": error.fix,
        "errors": [msgspec.to_builtins(one) for one in error.errors],
    }


def issue(error: FieldError, file: str | None = None) -> str:
    """Return `file:line:column: field: message` with what is known of it."""
    place = [] if file is None else [file]
    if error.line is not None:
        place += [str(error.line), str(error.column or 1)]
    start = f"{':'.join(place)}: " if place else ""
    field = f"{error.field}: " if error.field else ""
    hint = f" (try `{error.suggestion}`)" if error.suggestion and error.suggestion not in error.message else ""
    return f"{start}{field}{error.message}{hint}"
