"""Checking the jobs of a definition against their types; the graph checks everything between jobs.

A value that holds `${…}` is known only when the job runs; what its type would say about such a value is left to that
moment. Its syntax is checked with the graph.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import msgspec
from pydantic import ValidationError

from workflow_scheduler.core.definition.absent import JOB_TYPES, type_problem
from workflow_scheduler.core.definition.document import Document, Path
from workflow_scheduler.core.definition.problems import explain, sentence
from workflow_scheduler.core.errors import FieldError, SchedulerError
from workflow_scheduler.core.model.workflow import JOB_PATTERN
from workflow_scheduler.core.registry import Config

_MARK = "${"
_NAME = re.compile(JOB_PATTERN)


class JobRules(msgspec.Struct, frozen=True):
    """What the check of a job depends on besides the file.

    `closed`: the job types are all there are; an engine elsewhere may know others.
    """

    types: Mapping[str, ModuleType]
    allow_code: bool
    closed: bool = True


def check_jobs(document: Document, rules: JobRules, errors: list[FieldError]) -> None:
    """Add to `errors` what is wrong with the names, types and configurations of the jobs."""
    jobs = document.value.get("jobs")
    if not isinstance(jobs, dict):
        return
    for name, value in jobs.items():
        path = ("jobs", name)
        if _NAME.fullmatch(name) is None:
            message = f"`{name}` is not a job name; use letters, digits, `_` and `-`, begin with a letter, at most 64"
            errors.append(document.issue(path, message, key=True))
        if isinstance(value, dict):
            _check_job(document, path, value, rules, errors)


def _check_job(
    document: Document, path: Path, value: dict[str, Any], rules: JobRules, errors: list[FieldError]
) -> None:
    command = value.get("run")
    kind = value.get("uses") or ("run" if command is not None else None)
    module = rules.types.get(kind) if isinstance(kind, str) else None
    if module is None:
        if rules.closed and isinstance(kind, str):
            message, near = type_problem("job", kind, rules.types, JOB_TYPES)
            errors.append(document.issue((*path, "uses"), message, suggestion=near))
        return
    if module.needs_code_allowance and not rules.allow_code:
        message = f"jobs of type `{kind}` run code, which is not allowed here; allow it with WFS_ALLOW_CODE=true"
        errors.append(document.issue((*path, "uses" if "uses" in value else "run"), message))
    config = value.get("with") or {}
    if not isinstance(config, dict):
        return
    if command is None or kind != "run":
        raw = getattr(module, "raw_fields", ())
        errors += _config_issues(document, (*path, "with"), module.Config, config, raw)
    elif "command" not in config:
        errors += _command_issues(document, path, module.Config, {"command": command, **config})


def _config_issues(
    document: Document, path: Path, kind: type[Config], config: dict[str, Any], raw_fields: Sequence[str]
) -> list[FieldError]:
    """Return the issues of a configuration; in raw fields nothing is filled in, so what is wrong there stays wrong."""

    def unknown_yet(location: tuple[str | int, ...]) -> bool:
        return location[:1] not in [(field,) for field in raw_fields] and _is_templated(config, location)

    try:
        kind.model_validate(config)
    except ValidationError as error:
        return explain(error, kind, document, path, skip=unknown_yet)
    except SchedulerError as error:
        return [] if _has_template(config) else [document.issue(path, error.detail)]
    return []


def _command_issues(document: Document, path: Path, kind: type[Config], whole: dict[str, Any]) -> list[FieldError]:
    """Return the issues of a `run: COMMAND` job; those of the command stand at `run`."""
    try:
        kind.model_validate(whole)
    except ValidationError as error:
        about_command = [detail for detail in error.errors(include_url=False) if detail["loc"][:1] == ("command",)]
        issues = [document.issue((*path, "run"), sentence(detail)) for detail in about_command]
        beside = explain(
            error,
            kind,
            document,
            (*path, "with"),
            skip=lambda location: location[:1] == ("command",) or _is_templated(whole, location),
        )
        return issues + beside
    return []


def _is_templated(config: Any, location: tuple[str | int, ...]) -> bool:
    """Return whether the value that pydantic complains about holds a template; a missing key never does."""
    for step in location:
        if isinstance(config, dict):
            if step in config:
                config = config[step]
            elif step == location[-1]:
                return False
        elif isinstance(config, list) and isinstance(step, int) and step < len(config):
            config = config[step]
    return _has_template(config)


def _has_template(value: Any) -> bool:
    if isinstance(value, str):
        return _MARK in value
    if isinstance(value, dict):
        return any(_has_template(part) for part in value.values())
    if isinstance(value, list):
        return any(_has_template(part) for part in value)
    return False
