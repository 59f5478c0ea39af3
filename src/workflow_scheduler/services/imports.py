"""Reading files of other systems: what becomes of each entry, as the API and the command line show it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from workflow_scheduler.core.definition.load import documents_of
from workflow_scheduler.core.imports import actions, argo, wfformat
from workflow_scheduler.core.imports.outcome import Converted
from workflow_scheduler.core.time.dialects import compare
from workflow_scheduler.core.time.dialects.entry import Imported, Unread, every_entry


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How to read a file.

    wfformat: stub jobs sleep `time_scale` times what the tasks took, `max_parallel` of them at once. argo: the
    `timezone` of schedules that name none. github-actions: the `repository` whose events start the workflow.
    """

    time_scale: float = 0.0
    max_parallel: int = wfformat.PARALLEL
    timezone: str = "UTC"
    repository: str | None = None


def _wfformat(content: bytes, options: Options) -> list[Converted]:
    return [wfformat.convert(content, options.time_scale, options.max_parallel)]


def _argo(content: bytes, options: Options) -> list[Converted]:
    return argo.convert(documents_of(content), options.timezone)


def _github_actions(content: bytes, options: Options) -> list[Converted]:
    return actions.convert(documents_of(content), options.repository)


GRAPHS: Mapping[str, Callable[[bytes, Options], Iterable[Converted]]] = {
    "wfformat": _wfformat, "argo": _argo, "github-actions": _github_actions,
}  # fmt: skip
"""The systems whose graphs can be read, by the name of the import."""


def graphs(system: str, content: bytes, options: Options, begin: int) -> dict[str, Any]:
    """Return the workflows in a file, with what could not be expressed.

    Time triggers are compared with the old system's for five years from `begin`, in microseconds.

    Raises:
        ValidationFailed: the file is of another kind or broken; `errors` name the places.
        TooLarge: it passes a bound.

    """
    return _answer([_graph(one, begin) for one in GRAPHS[system](content, options)], ())


def schedules(found: Iterable[Imported | Unread], begin: int, *, as_before: bool) -> dict[str, Any]:
    """Return the entries of a schedule's file, each with every occurrence of five years from `begin` that differs.

    `as_before` keeps what the old system did at clock changes.
    """
    read, unread = every_entry(found)
    kept = [compare.as_before(one) for one in read] if as_before else read
    return _answer([_schedule(one, begin) for one in kept], unread)


def _answer(items: list[dict[str, Any]], unread: Iterable[Unread]) -> dict[str, Any]:
    listed = [{"line": one.line, "source": one.source, "message": one.message} for one in unread]
    return {"items": items, "unread": listed, "next": None}


def _schedule(one: Imported, begin: int) -> dict[str, Any]:
    found = compare.differences(one, begin)
    definition = {"version": 1, "name": one.name, **one.more, "triggers": {"schedule": one.trigger}, "jobs": one.jobs}
    return {
        "name": one.name,
        "source": one.source,
        "line": one.line,
        "definition": definition,
        "notes": one.notes,
        "differences": msgspec.to_builtins(found.items),
        "complete": found.complete,
        "lost": [],
    }


def _graph(one: Converted, begin: int) -> dict[str, Any]:
    found = [compare.differences(schedule, begin) for schedule in one.schedules]
    return {
        "name": one.name,
        "source": one.source,
        "line": None,
        "definition": one.definition,
        "notes": list(one.notes),
        "differences": [item for part in found for item in msgspec.to_builtins(part.items)],
        "complete": all(part.complete for part in found),
        "lost": msgspec.to_builtins(one.losses),
        "main": one.main,
    }
