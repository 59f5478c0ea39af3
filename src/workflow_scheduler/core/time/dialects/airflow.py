"""DAG files of Airflow, read from their syntax tree and never executed.

Airflow evaluates expressions with croniter in the zone of the DAG's `start_date`. Where the hours are not all hours it
computes with wall times: one in a gap runs later by the gap, a doubled one at its second copy. Both day fields set
means either, and `*/2` counts as set.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, NamedTuple

from workflow_scheduler.core.errors import ValidationFailed
from workflow_scheduler.core.time import zone
from workflow_scheduler.core.time.dialects import airflow_times
from workflow_scheduler.core.time.dialects.airflow_tasks import Tasks
from workflow_scheduler.core.time.dialects.airflow_values import UNKNOWN, Moment, Values, is_plain, name_of
from workflow_scheduler.core.time.dialects.entry import Imported, Names, Unread, because, refuse, single

_SCHEDULES = ("schedule", "schedule_interval", "timetable")
_NOT_TAKEN = ("on_failure_callback", "on_success_callback", "sla_miss_callback", "access_control")


class Dag(NamedTuple):
    """A DAG in the file: the call that makes it, its keyword arguments, and the statements that make its tasks."""

    name: str
    line: int
    named: dict[str, Any]
    body: list[ast.stmt]


def entries(text: str, timezone: str) -> Iterator[Imported | Unread]:
    """Yield the DAGs of a file; `timezone` is `core.default_timezone` of Airflow.

    Raises:
        ValidationFailed: `timezone` is not an IANA name, or the file is not Python.

    """
    zone.load(timezone)
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        refuse(f"the file is not Python: {error}")
    names = Names()
    values = Values(tree.body)
    functions = {
        one.name: one
        for one in ast.walk(tree)
        if isinstance(one, ast.FunctionDef) and any(_is(name_of(mark), "task") for mark in one.decorator_list)
    }
    for dag in _dags(tree, values):
        yield from _entries(dag, values, functions, (timezone, names))


def _is(name: str, wanted: str) -> bool:
    return name == wanted or name.startswith(f"{wanted}.") or name.endswith(f".{wanted}")


def _dags(tree: ast.Module, values: Values) -> Iterator[Dag]:
    for one in ast.walk(tree):
        if isinstance(one, ast.With):
            for item in one.items:
                if isinstance(item.context_expr, ast.Call) and _is(name_of(item.context_expr.func), "DAG"):
                    yield _dag(item.context_expr, one.body, values)
        elif isinstance(one, ast.Assign) and isinstance(one.value, ast.Call) and _is(name_of(one.value.func), "DAG"):
            yield _dag(one.value, _without_functions(tree.body), values)
        elif isinstance(one, ast.FunctionDef):
            for mark in one.decorator_list:
                if name_of(mark).rpartition(".")[2] == "dag":
                    named = values.named(mark) if isinstance(mark, ast.Call) else {}
                    title = named.get("dag_id")
                    yield Dag(title if isinstance(title, str) else one.name, one.lineno, named, one.body)


def _without_functions(body: list[ast.stmt]) -> list[ast.stmt]:
    return [one for one in body if not isinstance(one, (ast.FunctionDef, ast.ClassDef))]


def _dag(call: ast.Call, body: list[ast.stmt], values: Values) -> Dag:
    named = values.named(call)
    first = values.of(call.args[0]) if call.args else named.get("dag_id")
    return Dag(first if isinstance(first, str) else "dag", call.lineno, named, body)


def _entries(
    dag: Dag, values: Values, functions: dict[str, ast.FunctionDef], terms: tuple[str, Names]
) -> Iterator[Imported | Unread]:
    default, names = terms
    given = dag.named.get("default_args")
    defaults = given if isinstance(given, dict) else {}
    notes = [f"`{name}` is not taken over" for name in _NOT_TAKEN if dag.named.get(name) is not None]
    try:
        timed = airflow_times.triggers(_schedule(dag, notes), _terms(dag, defaults, default, notes))
    except ValidationFailed as error:
        yield Unread(dag.name, because(error), dag.line)
        return
    tasks = Tasks(values, defaults, functions)
    tasks.read(dag.body)
    for one in timed:
        if isinstance(dag.named.get("params"), dict) and is_plain(dag.named["params"]):
            one.trigger["input"] = dag.named["params"]
        if dag.named.get("is_paused_upon_creation") is True:
            one.trigger["enabled"] = False
        said = [*one.notes, *notes, *tasks.notes]
        yield Imported(
            names.of(dag.name), dag.name, one.trigger, tasks.jobs or single({"uses": "noop"}), one.rules, said,
            dag.line, _more(dag), one.before,
        )  # fmt: skip
    yield from tasks.unread


def _schedule(dag: Dag, notes: list[str]) -> Any:
    for name in _SCHEDULES:
        if name in dag.named:
            return dag.named[name]
    notes.append("it names no schedule: Airflow 2 ran it daily, Airflow 3 only when started by hand")
    return None


def _terms(dag: Dag, defaults: dict[str, Any], default: str, notes: list[str]) -> airflow_times.Terms:
    moments: list[Any] = [dag.named.get(name, defaults.get(name)) for name in ("start_date", "end_date")]
    if any(one is not None and not isinstance(one, Moment) for one in moments):
        notes.append("its start_date or end_date can only be known by running the file: they are left out")
    start, end = (one if isinstance(one, Moment) else None for one in moments)
    place = start.timezone if start is not None and start.timezone else default
    if start is None or start.timezone is None:
        notes.append(f"its start_date names no zone: `default_timezone` is taken to be {default}")
    zone.load(place)
    catchup = dag.named.get("catchup", UNKNOWN)
    return airflow_times.Terms(
        place,
        None if start is None else airflow_times.instant(start, default),
        None if end is None else airflow_times.instant(end, default),
        catchup if isinstance(catchup, bool) else None,
    )


def _more(dag: Dag) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if isinstance(dag.named.get("description"), str):
        found["description"] = dag.named["description"]
    limits = {"max_runs": dag.named.get("max_active_runs"), "max_parallel_jobs": dag.named.get("max_active_tasks")}
    concurrency = {name: value for name, value in limits.items() if isinstance(value, int) and value > 0}
    if concurrency:
        found["concurrency"] = concurrency
    if isinstance(dag.named.get("dagrun_timeout"), timedelta):
        found["timeout"] = f"{max(1, int(dag.named['dagrun_timeout'].total_seconds()))}s"
    return found
