"""The whole check of a definition: structure, triggers, jobs and the graph between them, with all mistakes at once."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from types import ModuleType
from typing import Any

import msgspec

from workflow_scheduler.core.dag.graph import Graph, compile_graph
from workflow_scheduler.core.definition.document import Document, dotted, invalid
from workflow_scheduler.core.definition.job_check import JobRules, check_jobs
from workflow_scheduler.core.definition.load import LoadedDefinition, Reading
from workflow_scheduler.core.definition.trigger_check import (
    CheckedTrigger,
    TriggerRules,
    check_triggers,
    key_problem,
)
from workflow_scheduler.core.errors import (
    DefinitionInvalid,
    FieldError,
    SchedulerError,
    ValidationFailed,
    did_you_mean,
)
from workflow_scheduler.core.match import template
from workflow_scheduler.core.model.workflow import Definition, overlaps
from workflow_scheduler.core.time import zone

EMBEDDED = "embedded"
TEMPORAL = "temporal"
PREFECT = "prefect"
_SWITCHES = {"http": "WORKFLOW_ENGINE_URL", TEMPORAL: "WFS_TEMPORAL_ADDRESS", PREFECT: "WFS_PREFECT_API_URL"}
OURS = frozenset({EMBEDDED, TEMPORAL})
"""Engines that run jobs of our types; others know types of their own."""
ELSEWHERE = frozenset({"http", PREFECT})
"""Engines of which a run may wait for an answer without a job of ours that says so."""
_STEP = re.compile(r"[^.\[\]]+|\[\d+\]")


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What a check depends on besides the file and the time.

    `timezone` is the default of the tenant; `engines` are the engines that are configured, None when that is unknown.
    `several`: more than one instance may share the store.
    """

    allow_code: bool = True
    timezone: str = "UTC"
    engines: Collection[str] | None = None
    several: bool = False


class Checked(msgspec.Struct, frozen=True):
    """A definition without mistakes. `warnings` are sentences about what is allowed and may surprise."""

    loaded: LoadedDefinition
    definition: Definition
    triggers: dict[str, CheckedTrigger]
    graph: Graph
    warnings: tuple[str, ...]


def check(
    loaded: LoadedDefinition,
    trigger_types: Mapping[str, ModuleType],
    job_types: Mapping[str, ModuleType],
    now: int,
    rules: Rules | None = None,
) -> Checked:
    """Return the checked form of a definition; `now` is in microseconds.

    Raises:
        DefinitionInvalid: there are mistakes; all of them are in its `errors`.

    """
    reading = Reading(loaded.document, loaded.definition, (), loaded.source, loaded.format)
    return inspect(reading, trigger_types, job_types, now, rules)


def inspect(
    reading: Reading,
    trigger_types: Mapping[str, ModuleType],
    job_types: Mapping[str, ModuleType],
    now: int,
    rules: Rules | None = None,
    accepted: Mapping[str, Any] | None = None,
) -> Checked:
    """Return the checked form of a document; mistakes of its structure do not hide those of triggers and jobs.

    `accepted` are triggers of a version that was accepted before (see `TriggerRules`).

    Raises:
        DefinitionInvalid: there are mistakes; all of them are in its `errors`.

    """
    rules = rules or Rules()
    errors = list(reading.errors)
    if not isinstance(reading.document.value, dict):
        raise invalid(errors)
    warnings: list[str] = []
    timezone = _timezone(reading.document, rules, errors)
    trigger_rules = TriggerRules(trigger_types, now, timezone, accepted or {})
    triggers = check_triggers(reading.document, trigger_rules, warnings, errors)
    closed = reading.document.value.get("engine", EMBEDDED) in OURS
    check_jobs(reading.document, JobRules(job_types, rules.allow_code, closed), errors)
    _check_engine(reading.document, rules, errors)
    problem = None if reading.definition is None else key_problem(reading.definition.overlap)
    if problem is not None:
        errors.append(reading.document.issue(("overlap", "key"), problem))
    _check_limit(reading, errors)
    graph = None if reading.definition is None else _graph(reading, job_types, errors)
    if errors or graph is None:
        raise invalid(list(dict.fromkeys(errors)))
    loaded = reading.loaded()
    warnings += _general_warnings(loaded.definition) + _overlap_warnings(loaded.definition, triggers)
    return Checked(loaded, loaded.definition, triggers, graph, tuple(warnings))


def _check_limit(reading: Reading, errors: list[FieldError]) -> None:
    """Look at the limit of runs at once."""
    definition = reading.definition
    if definition is None:
        return
    rule = definition.concurrency
    problem = key_problem(rule)
    if problem is not None:
        errors.append(reading.document.issue(("concurrency", "key"), problem))
    name = "key" if rule.key is not None else "on_limit" if rule.on_limit == "skip" else None
    if name is not None and overlaps(definition):
        text = f"`{name}` does not go together with `overlap`, which lets one run at a time through; keep one of them"
        errors.append(reading.document.issue(("concurrency", name), text))


def _timezone(document: Document, rules: Rules, errors: list[FieldError]) -> str:
    """Return the default time zone of the triggers; `UTC` stands in for one that is wrong."""
    name = document.value.get("timezone")
    if not isinstance(name, str):
        return rules.timezone
    try:
        zone.load(name)
    except SchedulerError as error:
        suggestion = error.errors[0].suggestion if error.errors else None
        errors.append(document.issue(("timezone",), _message(error), suggestion=suggestion))
        return "UTC"
    return name


def _message(error: SchedulerError) -> str:
    return error.errors[0].message if error.errors else error.detail


def _check_engine(document: Document, rules: Rules, errors: list[FieldError]) -> None:
    engine = document.value.get("engine", EMBEDDED)
    jobs = document.value.get("jobs")
    if engine == TEMPORAL and isinstance(jobs, dict):
        errors.extend(
            document.issue(("jobs", name, "resources"), "the engine `temporal` gives out no resources; remove them")
            for name, job in jobs.items()
            if isinstance(job, dict) and job.get("resources")
        )
    for name, what in ((TEMPORAL, "a workflow of others"), (PREFECT, "a flow")):
        if document.value.get(name) is None:
            continue
        if engine != name:
            errors.append(document.issue((name,), f"`{name}` goes with `engine: {name}`; add that, or remove it"))
        if document.value.get("jobs"):
            text = f"`{name}` starts {what} in place of the jobs; remove `jobs`, or `{name}`"
            errors.append(document.issue(("jobs",), text))
    if engine == PREFECT:
        _check_flow(document, errors)
    if rules.engines is None or not isinstance(engine, str) or engine in rules.engines:
        return
    if engine in _SWITCHES:
        text = f"the engine `{engine}` is not configured here; start the service with {_SWITCHES[engine]}"
        errors.append(document.issue(("engine",), text))
        return
    near = did_you_mean(engine, rules.engines)
    known = f"did you mean `{near}`?" if near else f"available here: {', '.join(sorted(rules.engines))}"
    errors.append(document.issue(("engine",), f"there is no engine `{engine}`, {known}", suggestion=near))


def _check_flow(document: Document, errors: list[FieldError]) -> None:
    """Look at the deployment that a workflow of the engine `prefect` starts, and at its parameters."""
    given = document.value.get(PREFECT)
    if given is None:
        text = "`engine: prefect` starts a deployment; name it: `prefect: {deployment: FLOW/DEPLOYMENT}`"
        errors.append(document.issue(("engine",), text))
    parameters = given.get("parameters") if isinstance(given, dict) else None
    if isinstance(parameters, dict):
        try:
            template.parse(parameters, f"{PREFECT}.parameters")
        except ValidationFailed as error:
            errors.extend(located(document, issue) for issue in error.errors)


def _graph(reading: Reading, job_types: Mapping[str, ModuleType], errors: list[FieldError]) -> Graph | None:
    definition = reading.definition
    assert definition is not None
    known = job_types if definition.engine in OURS else None
    try:
        return compile_graph(definition, known)
    except DefinitionInvalid as error:
        told = {issue.field for issue in errors}
        found = [located(reading.document, issue) for issue in error.errors]
        errors += [issue for issue in found if issue.field not in told]
        return None


def located(document: Document, issue: FieldError) -> FieldError:
    """Return an issue that names its field only by text with the place of that field in what was written."""
    if issue.line is not None:
        return issue
    field, value = issue.field, document.value
    if document.origin is not None:
        value = document.origin.value
        field = dotted(document.origin.of(_steps(field)))
    line, column = document.place(field_path(value, field))
    return FieldError(field, issue.message, line=line, column=column, suggestion=issue.suggestion)


def _steps(field: str) -> tuple[str | int, ...]:
    return tuple(int(step[1:-1]) if step.startswith("[") else step for step in _STEP.findall(field))


def field_path(value: Any, field: str) -> tuple[str | int, ...]:
    """Return the path of `jobs.load.needs[0]` as far as it exists in `value`."""
    path: list[str | int] = []
    for key in _steps(field):
        is_key = isinstance(value, dict) and key in value
        is_index = isinstance(value, list) and isinstance(key, int) and key < len(value)
        if not is_key and not is_index:
            break
        value = value[key]
        path.append(key)
    return tuple(path)


def _overlap_warnings(definition: Definition, triggers: Mapping[str, CheckedTrigger]) -> list[str]:
    """Return a line for triggers whose runs the scope `workflow` of another trigger does not see."""
    rules = {name: trigger.shared.overlap or definition.overlap for name, trigger in triggers.items()}
    wide = [name for name, rule in rules.items() if rule is not None and rule.scope == "workflow"]
    own = [name for name, rule in rules.items() if rule and rule.scope != "workflow" and rule.policy != "allow"]
    if not wide or not own:
        return []
    return [
        f"{wide[0]}: the scope `workflow` does not count the runs of {', '.join(own)}, which have a scope of their own"
    ]


def _general_warnings(definition: Definition) -> list[str]:
    found = []
    if not definition.triggers:
        found.append("there are no triggers: nothing starts this workflow by itself")
    if not definition.jobs and definition.engine in OURS and definition.temporal is None:
        found.append("there are no jobs: a run of this workflow ends at once")
    return found
