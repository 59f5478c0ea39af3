"""Workflow instances in the JSON format of WfCommons (WfFormat 1.3 to 1.6), run with stub jobs.

Each task becomes a job that does nothing or, with a time scale, sleeps for its recorded runtime times that scale.
Parents and children together make the needs: up to version 1.4 tasks name each other by name, later by id. Files,
machines and measurements stay behind.
"""

from __future__ import annotations

import shlex
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from typing import Any, NoReturn

import msgspec

from workflow_scheduler.core.dag.graph import JOBS_MAX
from workflow_scheduler.core.definition.document import DEPTH_MAX, TEXT_BYTES_MAX, text_error
from workflow_scheduler.core.errors import FieldError, TooLarge
from workflow_scheduler.core.imports.names import Jobs, plain, workflow_name
from workflow_scheduler.core.imports.outcome import Converted, refuse

BYTES_MAX = 64_000_000
VERSIONS = ("1.3", "1.4", "1.5", "1.6")
PARALLEL = 100
_ERRORS_MAX = 100
_TEXT_MAX = 300
_SECONDS_MAX = 366 * 86_400.0
_BRIEF = 80


class Command(msgspec.Struct):
    """What a task ran."""

    program: str | None = None
    arguments: list[str] = []


class Task(msgspec.Struct):
    """A task; in the older versions its measurements stand beside its relations."""

    name: str | None = None
    id: str | None = None
    parents: list[str] = []
    children: list[str] = []
    command: Command | None = None
    runtime: float | None = None
    runtime_in_seconds: float | None = msgspec.field(default=None, name="runtimeInSeconds")


class Part(msgspec.Struct):
    """The specification or the execution, which came with version 1.5."""

    tasks: list[Task] = []


class Workflow(msgspec.Struct):
    """The workflow: its tasks, or specification and execution."""

    tasks: list[Task] | None = None
    specification: Part | None = None
    execution: Part | None = None


class Instance(msgspec.Struct):
    """A file."""

    name: str
    version: str = msgspec.field(name="schemaVersion")
    workflow: Workflow
    description: str = ""


def convert(content: bytes, time_scale: float = 0.0, parallel: int = PARALLEL) -> Converted:
    """Return the workflow of an instance file; jobs sleep for `time_scale` times the runtime of their task.

    Raises:
        ValidationFailed: the file is no instance, a parent is missing, or tasks wait for each other in a circle.
        TooLarge: it has too many bytes or tasks.

    """
    if len(content) > BYTES_MAX:
        raise TooLarge(f"an instance has at most {BYTES_MAX:,} bytes; this one has {len(content):,}")
    instance = _decode(content)
    if instance.version not in VERSIONS:
        known = ", ".join(VERSIONS)
        _refuse("schemaVersion", f"version {instance.version[:_BRIEF]} of WfFormat is not read; known are {known}")
    workflow = instance.workflow
    spec = workflow.specification
    tasks = workflow.tasks or [] if spec is None else spec.tasks
    where = "workflow.tasks" if spec is None else "workflow.specification.tasks"
    if not tasks:
        _refuse(where, "there are no tasks")
    if len(tasks) > JOBS_MAX:
        raise TooLarge(f"a workflow has at most {JOBS_MAX:,} jobs; this instance has {len(tasks):,} tasks")
    keys = _keys(tasks, where)
    needs = _needs(tasks, keys, where, by_id=spec is not None)
    measured = {one.id: one for one in (workflow.execution.tasks if workflow.execution else ())}
    return _converted(instance, tasks, needs, measured, (time_scale, parallel))


def _decode(content: bytes) -> Instance:
    try:
        return msgspec.json.decode(content, type=Instance)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        _refuse(path.rstrip("`").lstrip("."), f"this is no instance of WfFormat: {message}")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        _refuse("", f"the file is not JSON: {error}")
    except RecursionError:
        _refuse("", f"values are nested more than {DEPTH_MAX} deep")


def _refuse(field: str, message: str) -> NoReturn:
    refuse([FieldError(field, message) if field else text_error(message)])


def _keys(tasks: list[Task], where: str) -> list[str]:
    """Return what identifies each task: its id, or its name where it has none."""
    found: dict[str, int] = {}
    errors: list[FieldError] = []
    for place, task in enumerate(tasks):
        key = task.id or task.name
        if not key:
            errors.append(FieldError(f"{where}[{place}]", "the task has neither `id` nor `name`"))
        elif key in found:
            errors.append(FieldError(f"{where}[{place}].id", f"`{key[:_BRIEF]}` is also task {found[key]}"))
        else:
            found[key] = place
    if errors:
        refuse(errors[:_ERRORS_MAX])
    return list(found)


def _needs(tasks: list[Task], keys: list[str], where: str, *, by_id: bool) -> list[list[int]]:
    """Return the places of the tasks that each task needs.

    Raises:
        ValidationFailed: one is missing or ambiguous, or there is a circle.

    """
    known: dict[str, int] = {}
    ids = {key: place for place, key in enumerate(keys)}
    names: dict[str, list[int]] = {}
    for place, task in enumerate(tasks):
        names.setdefault(task.name or "", []).append(place)
    unique = {name: places[0] for name, places in names.items() if name and len(places) == 1}
    known = {**unique, **ids} if by_id else {**ids, **unique}
    needs: list[dict[int, None]] = [{} for _ in tasks]
    errors: list[FieldError] = []
    for place, task in enumerate(tasks):
        for kind in ("parents", "children"):
            for number, text in enumerate(getattr(task, kind)):
                other = known.get(text)
                field = f"{where}[{place}].{kind}[{number}]"
                if other is None:
                    several = "several tasks have this name" if text in names else "there is no such task"
                    errors.append(FieldError(field, f"`{text[:_BRIEF]}`: {several}"))
                elif kind == "parents":
                    needs[place][other] = None
                else:
                    needs[other][place] = None
    if errors:
        refuse(errors[:_ERRORS_MAX])
    _check_circle(keys, needs, where)
    return [sorted(one) for one in needs]


def _check_circle(keys: list[str], needs: list[dict[int, None]], where: str) -> None:
    try:
        TopologicalSorter(dict(enumerate(needs))).prepare()
    except CycleError as error:
        circle: list[int] = error.args[1]
        path = " → ".join(keys[place] for place in reversed(circle))
        _refuse(f"{where}[{circle[0]}].parents", f"the tasks need each other in a circle: {path}")


def _converted(
    instance: Instance,
    tasks: list[Task],
    needs: list[list[int]],
    measured: dict[str | None, Task],
    terms: tuple[float, int],
) -> Converted:
    scale, parallel = terms
    names = Jobs()
    texts = _labels(tasks)
    jobs_of = [names.of(text) for text in texts]
    jobs: dict[str, Any] = {}
    for place, task in enumerate(tasks):
        seen = measured.get(task.id, task)
        job = _stub(_seconds(seen), scale)
        if needs[place]:
            job["needs"] = [jobs_of[need] for need in needs[place]]
        said = _described(task, seen, own="" if jobs_of[place] == texts[place] else texts[place])
        jobs[jobs_of[place]] = job | ({"description": said} if said else {})
    definition: dict[str, Any] = {"version": 1, "name": workflow_name(instance.name.removesuffix(".json"))}
    if instance.description:
        definition["description"] = plain(instance.description[:_TEXT_MAX])
    definition |= {"concurrency": {"max_parallel_jobs": parallel}, "jobs": jobs}
    notes = [f"{len(tasks)} tasks of WfFormat {instance.version} became stub jobs; files and machines stay behind"]
    if len(msgspec.json.encode(definition)) > TEXT_BYTES_MAX:
        for job in jobs.values():
            job.pop("description", None)
        notes.append("the descriptions of the jobs are left out: the definition would be too large with them")
    return Converted(name=definition["name"], source=instance.name, definition=definition, notes=tuple(notes))


def _seconds(task: Task) -> float:
    found = task.runtime if task.runtime_in_seconds is None else task.runtime_in_seconds
    return max(0.0, found or 0.0)


def _stub(seconds: float, scale: float) -> dict[str, Any]:
    milliseconds = round(min(seconds * scale, _SECONDS_MAX) * 1_000)
    if milliseconds <= 0:
        return {"uses": "noop"}
    return {"uses": "sleep_for", "with": {"duration": f"{milliseconds}ms"}}


def _labels(tasks: list[Task]) -> list[str]:
    """Return what to call each task: its name where no other has it, else its id, with the name if that says more."""
    counts = Counter(task.name for task in tasks)
    found = []
    for task in tasks:
        name, key = task.name or "", task.id or ""
        if name and counts[name] == 1:
            found.append(name)
        else:
            found.append(key if not name or name in key else f"{name}_{key}")
    return found


def _described(task: Task, seen: Task, own: str) -> str:
    """Return what the stub stands for: the task's `own` name where it is another one, and what it ran."""
    parts = [own] if own else []
    command = seen.command or task.command
    if command is not None and command.program:
        parts.append(" ".join([shlex.quote(command.program), *command.arguments]))
    if seconds := _seconds(seen):
        parts.append(f"ran {seconds:g} s")
    text = plain("; ".join(parts))
    return text if len(text) <= _TEXT_MAX else f"{text[: _TEXT_MAX - 1]}…"
