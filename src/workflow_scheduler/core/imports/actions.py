"""Workflow files of GitHub Actions: jobs with their needs, matrices and commands; schedules, and pushes as triggers.

The commands of a job's steps become one script, since they share a folder. Actions (`uses`) are programs of GitHub's
and stay behind, as do runners, services, secrets and outputs.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from functools import partial
from itertools import product
from typing import Any

from workflow_scheduler.core.definition.document import Document, Path
from workflow_scheduler.core.errors import FieldError
from workflow_scheduler.core.imports.actions_text import condition, text_of
from workflow_scheduler.core.imports.names import Jobs, workflow_name
from workflow_scheduler.core.imports.outcome import Converted, Report, refuse
from workflow_scheduler.core.time.dialects import github_actions
from workflow_scheduler.core.time.dialects.entry import Imported

INSTANCES_MAX = 10_000
_SHELLS = frozenset({None, "bash", "sh"})
_WORKFLOW = frozenset({"name", "on", "jobs", "env", "concurrency", "run-name"})
_JOB = frozenset(
    {"name", "needs", "if", "steps", "env", "strategy", "timeout-minutes", "continue-on-error", "runs-on", "uses"}
)
_STEP = frozenset({"name", "run", "env", "working-directory", "shell", "continue-on-error", "uses", "with", "id", "if"})
_FILTERS = ("branches", "branches-ignore", "tags", "tags-ignore", "paths", "paths-ignore", "types")


def convert(documents: Iterable[Document], repository: str | None = None) -> list[Converted]:
    """Return the workflows of files; events of GitHub become triggers where the `repository` is known.

    Raises:
        ValidationFailed: a file is no workflow, a need is missing, or an entry of the schedule cannot be read.

    """
    return [_File(document, repository).convert() for document in documents]


class _File:
    """One workflow file."""

    def __init__(self, document: Document, repository: str | None) -> None:
        self.document = document
        self.value: dict[str, Any] = document.value if isinstance(document.value, dict) else {}
        self.repository = repository
        self.report = Report(document)
        self.jobs: dict[str, str] = {}

    def refuse(self, path: Path, message: str) -> None:
        refuse([self.document.issue(path, message)])

    def convert(self) -> Converted:
        listed = self.value.get("jobs")
        if not isinstance(listed, dict) or not listed:
            refuse([FieldError("jobs", "this is no workflow of GitHub Actions: it has no `jobs`")])
        title = str(self.value.get("name") or "workflow")
        self.report.unread(self.value, (), _WORKFLOW)
        names = Jobs()
        self.jobs = {str(name): names.of(str(name)) for name in listed}
        definition: dict[str, Any] = {"version": 1, "name": workflow_name(title)}
        env = self._env(self.value.get("env"), ("env",))
        definition |= {"env": env} if env else {}
        schedules = self._schedules()
        triggers = self._triggers(schedules)
        definition |= {"triggers": triggers} if triggers else {}
        defaults = self._inputs()
        definition |= {"input": defaults} if defaults else {}
        self._concurrency(definition)
        definition["concurrency"] = {"max_parallel_jobs": 20}
        definition["jobs"] = {
            self.jobs[str(name)]: self._job(str(name), job if isinstance(job, dict) else {})
            for name, job in listed.items()
        }
        notes = ["commands run beside the service, in its environment, and not on a runner"]
        return Converted(
            name=definition["name"], source=title, definition=definition, losses=self.report.losses,
            notes=tuple(notes), schedules=tuple(schedules),
        )  # fmt: skip

    def _events(self) -> dict[str, Any]:
        found = self.value.get("on")
        if isinstance(found, str):
            return {found: None}
        if isinstance(found, list):
            return {str(one): None for one in found}
        return found if isinstance(found, dict) else {}

    def _schedules(self) -> list[Imported]:
        found = []
        for one in github_actions.entries([self.value]):
            if not isinstance(one, Imported):
                self.refuse(("on", "schedule"), one.message)
                continue
            found.append(one)
        return found

    def _triggers(self, schedules: list[Imported]) -> dict[str, Any]:
        triggers: dict[str, Any] = {
            "schedule" if number == 1 else f"schedule-{number}": one.trigger for number, one in enumerate(schedules, 1)
        }
        events: dict[str, Any] = {}
        for name, value in self._events().items():
            if name == "schedule":
                continue
            if name == "workflow_dispatch":
                triggers["by-hand"] = {"type": "manual"}
            elif name in {"workflow_call", "workflow_run", "repository_dispatch", "merge_group"}:
                self.report.lost(("on", name), "write a trigger of type `workflow`, `webhook` or `event` for it")
            elif self.repository is None:
                self.report.lost(("on", name), "name the repository (--repository OWNER/NAME) to have it as a trigger")
            else:
                events[name] = self._filter(name, value if isinstance(value, dict) else {})
        if events:
            triggers["github"] = {"type": "github", "repository": self.repository, "events": events}
        return triggers

    def _filter(self, name: str, value: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        self.report.unread(value, ("on", name), frozenset(_FILTERS))
        for key in _FILTERS:
            if not isinstance(value.get(key), list):
                continue
            listed = [str(one) for one in value[key]]
            if key == "types":
                found["actions"] = listed
            elif key.endswith("-ignore"):
                found[key.removesuffix("-ignore")] = ["**", *(f"!{one}" for one in listed)]
            else:
                found[key] = listed
        return found

    def _inputs(self) -> dict[str, Any]:
        dispatch = self._events().get("workflow_dispatch")
        inputs = dispatch.get("inputs") if isinstance(dispatch, dict) else None
        found = {}
        for name, one in inputs.items() if isinstance(inputs, dict) else ():
            if isinstance(one, dict) and "default" in one:
                found[str(name)] = one["default"]
        return found

    def _concurrency(self, definition: dict[str, Any]) -> None:
        value = self.value.get("concurrency")
        if value is None:
            return
        group = value if isinstance(value, str) else value.get("group") if isinstance(value, dict) else None
        if not isinstance(group, str) or "${{" in group.replace("${{ github.workflow }}", ""):
            self.report.lost(("concurrency",), "write `overlap` with a `key` over the event")
            return
        cancel = isinstance(value, dict) and value.get("cancel-in-progress") is True
        definition["overlap"] = {"policy": "cancel_running" if cancel else "queue_one", "scope": "workflow"}

    def _job(self, name: str, job: dict[str, Any]) -> dict[str, Any]:
        path: Path = ("jobs", name)
        self.report.unread(job, path, _JOB)
        found: dict[str, Any] = {}
        needs = job.get("needs")
        listed = [needs] if isinstance(needs, str) else needs if isinstance(needs, list) else []
        for place, one in enumerate(listed):
            if not isinstance(one, str) or one not in self.jobs:
                self.refuse((*path, "needs", place), f"there is no job `{one}`")
        if listed:
            found["needs"] = [self.jobs[one] for one in listed]
        self._condition(job, path, found)
        if "uses" in job:
            self.report.lost((*path, "uses"), f"write what `{job['uses']}` does, or call a workflow: `uses: workflow`")
            found["uses"] = "noop"
        else:
            found |= self._steps(job, path)
        env = self._env(job.get("env"), (*path, "env"))
        found |= {"env": env} if env else {}
        self._matrix(job.get("strategy"), (*path, "strategy"), found)
        minutes = job.get("timeout-minutes")
        if isinstance(minutes, (int, float)) and minutes > 0:
            found["timeout"] = f"{max(1, round(minutes * 60))}s"
        if job.get("continue-on-error") is True:
            found["allow_failure"] = True
        return found

    def _condition(self, job: dict[str, Any], path: Path, found: dict[str, Any]) -> None:
        if job.get("if") is None:
            return
        text = str(job["if"]).strip()
        said = condition("true" if text == "True" else text, self.jobs)
        if said is None:
            self.report.lost((*path, "if"), f"`{text}` is not said here; the job runs without it")
            return
        rule, expression = said
        if rule is not None and (found.get("needs") or rule == "all_done"):
            found["run_if"] = rule
        found |= {"if": expression} if expression else {}

    def _steps(self, job: dict[str, Any], path: Path) -> dict[str, Any]:
        parts = []
        steps = job.get("steps")
        for place, step in enumerate(steps if isinstance(steps, list) else ()):
            at = (*path, "steps", place)
            if not isinstance(step, dict):
                continue
            self.report.unread(step, at, _STEP)
            if "uses" in step:
                self.report.lost((*at, "uses"), f"`{step['uses']}` is an action; write what it does as a command")
            elif isinstance(step.get("run"), str):
                parts.append(self._step(step, at))
        if not parts:
            self.report.lost(path, "no step is a command; write the work into the job")
            return {"uses": "noop"}
        return {"run": "set -e\n" + "\n".join(parts), "with": {"shell": "/bin/bash"}}

    def _step(self, step: dict[str, Any], path: Path) -> str:
        if step.get("shell") not in _SHELLS:
            self.report.lost((*path, "shell"), f"`{step['shell']}` is no shell for a script; look at the command")
        if step.get("if") is not None:
            self.report.lost((*path, "if"), "the step runs whenever its job does; write `if` of the shell")
        lines = [f"# {step['name']}"] if isinstance(step.get("name"), str) else []
        lines.append("(")
        if isinstance(step.get("working-directory"), str):
            lines.append(f"cd {shlex.quote(step['working-directory'])}")
        for name, value in self._env(step.get("env"), (*path, "env")).items():
            quoted = value if value.startswith("${") else shlex.quote(value)
            lines.append(f"export {name}={quoted}")
        lines.append(text_of(step["run"], self.jobs, partial(self.report.lost, (*path, "run"))).rstrip("\n"))
        lines.append(") || true" if step.get("continue-on-error") is True else ")")
        return "\n".join(lines)

    def _env(self, value: Any, path: Path) -> dict[str, str]:
        return {
            str(name): text_of(str(one), self.jobs, partial(self.report.lost, (*path, str(name))))
            for name, one in (value.items() if isinstance(value, dict) else ())
        }

    def _matrix(self, strategy: Any, path: Path, found: dict[str, Any]) -> None:
        matrix = strategy.get("matrix") if isinstance(strategy, dict) else None
        if matrix is None:
            return
        combinations = _combinations(matrix)
        if combinations is None:
            self.report.lost((*path, "matrix"), "only lists that stand in the file are taken over; the job runs once")
            return
        if len(combinations) > INSTANCES_MAX:
            self.refuse((*path, "matrix"), f"there are {len(combinations):,} combinations, more than {INSTANCES_MAX:,}")
        found["map"] = combinations
        found["fail_fast"] = strategy.get("fail-fast") is not False
        most = strategy.get("max-parallel")
        found |= {"max_parallel": most} if isinstance(most, int) and most > 0 else {}


def _combinations(matrix: Any) -> list[dict[str, Any]] | None:
    """Return the combinations as GitHub makes them, `exclude` and `include` regarded; None where it cannot be known."""
    if not isinstance(matrix, dict):
        return None
    axes = {name: values for name, values in matrix.items() if name not in {"include", "exclude"}}
    include, exclude = matrix.get("include") or [], matrix.get("exclude") or []
    if not all(isinstance(one, list) for one in (*axes.values(), include, exclude)):
        return None
    made = [dict(zip(axes, values, strict=True)) for values in product(*axes.values())] if axes else []
    made = [one for one in made if not any(_fits(one, left) for left in exclude if isinstance(left, dict))]
    plain = [dict(one) for one in made]
    for more in (one for one in include if isinstance(one, dict)):
        # Added to every combination of which it changes no value of an axis; else it is one of its own.
        places = [at for at, one in enumerate(plain) if all(one.get(key, more[key]) == more[key] for key in more)]
        for at in places:
            made[at] |= more
        if not places:
            made.append(dict(more))
    return made


def _fits(one: dict[str, Any], left: dict[str, Any]) -> bool:
    return all(key in one and one[key] == value for key, value in left.items())
