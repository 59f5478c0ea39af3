"""Workflows, templates and cron workflows of Argo, from their manifests.

The `dag` or `steps` of the entrypoint become jobs. A template that is itself a graph becomes a workflow that is called.
Commands and scripts run beside the service instead of in their image; parameters are filled in here, `{{…}}` becomes
`${…}`. Artifacts, volumes and everything about pods stay behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import msgspec

from workflow_scheduler.core.definition.document import Document, Path
from workflow_scheduler.core.errors import FieldError
from workflow_scheduler.core.imports.argo_depends import waiting
from workflow_scheduler.core.imports.argo_leaves import leaf, retry_of, seconds
from workflow_scheduler.core.imports.argo_text import Names, condition
from workflow_scheduler.core.imports.names import Jobs, plain, workflow_name
from workflow_scheduler.core.imports.outcome import Converted, Report, refuse
from workflow_scheduler.core.time.dialects import kubernetes
from workflow_scheduler.core.time.dialects.entry import Imported

KINDS = frozenset({"Workflow", "WorkflowTemplate", "ClusterWorkflowTemplate", "CronWorkflow"})
_PARALLEL = 100
_DEPTH_MAX = 20
_SPEC = frozenset(
    {"entrypoint", "templates", "arguments", "parallelism", "activeDeadlineSeconds", "onExit", "workflowSpec",
     "schedule", "schedules", "timezone", "concurrencyPolicy", "suspend", "startingDeadlineSeconds"}
)  # fmt: skip
_TASK = frozenset(
    {"name", "template", "inline", "arguments", "dependencies", "depends", "when", "withItems", "withParam",
     "withSequence", "continueOn", "templateRef"}
)  # fmt: skip
_OVERLAP = {"Forbid": "skip", "Replace": "cancel_running"}


def convert(documents: Iterable[Document], timezone: str = "UTC") -> list[Converted]:
    """Return the workflows of manifests; those that are called stand before those that call them.

    Raises:
        ValidationFailed: there is no workflow of Argo, a template or task is missing, or templates call each other.

    """
    found: list[Converted] = []
    for document in documents:
        for path, manifest in _manifests(document.value):
            found += _Manifest(document, path, manifest).convert(timezone)
    if not found:
        refuse([FieldError("kind", f"there is no workflow of Argo; known are {', '.join(sorted(KINDS))}")])
    return found


def _manifests(value: Any) -> Iterator[tuple[Path, dict[str, Any]]]:
    if isinstance(value, dict) and str(value.get("kind")) in KINDS:
        yield (), value
    items = value.get("items") if isinstance(value, dict) else None
    for place, one in enumerate(items if isinstance(items, list) else ()):
        if isinstance(one, dict) and str(one.get("kind")) in KINDS:
            yield ("items", place), one


class _Manifest:
    """One workflow with the templates that it uses."""

    def __init__(self, document: Document, path: Path, value: dict[str, Any]) -> None:
        self.document = document
        self.report = Report(document)
        meta = _dict(value.get("metadata"))
        self.title = str(meta.get("name") or str(meta.get("generateName") or "").rstrip("-") or "workflow")
        self.name = workflow_name(self.title)
        self.outer, self.outer_path = _dict(value.get("spec")), (*path, "spec")
        cron = value["kind"] == "CronWorkflow"
        self.cron = cron
        self.spec = _dict(self.outer.get("workflowSpec")) if cron else self.outer
        self.path = (*self.outer_path, "workflowSpec") if cron else self.outer_path
        self.templates: dict[str, tuple[Path, dict[str, Any]]] = {}
        listed = self.spec.get("templates")
        for place, one in enumerate(listed if isinstance(listed, list) else ()):
            if isinstance(one, dict) and isinstance(one.get("name"), str):
                self.templates[one["name"]] = ((*self.path, "templates", place), one)
        self.called: dict[str, Converted] = {}
        self.open: list[str] = []

    def refuse(self, path: Path, message: str) -> None:
        refuse([self.document.issue(path, message)])

    def convert(self, timezone: str) -> list[Converted]:
        entry = self.spec.get("entrypoint")
        if not isinstance(entry, str):
            self.refuse(self.path, "there is no `entrypoint`")
        self.report.unread(self.spec, self.path, _SPEC)
        jobs = self.graph(str(entry), (*self.path, "entrypoint"), {})
        if isinstance(self.spec.get("onExit"), str):
            self._exit(jobs)
        definition: dict[str, Any] = {"version": 1, "name": self.name, "description": f"From {self.title} of Argo."}
        values = {
            str(one.get("name")): one.get("value", one.get("default"))
            for one in _list(_dict(self.spec.get("arguments")).get("parameters"))
        }
        definition |= {"input": values} if values else {}
        definition["concurrency"] = {"max_parallel_jobs": _whole(self.spec.get("parallelism")) or _PARALLEL}
        if limit := _whole(self.spec.get("activeDeadlineSeconds")):
            definition["timeout"] = f"{limit}s"
        schedules = self._schedules(timezone) if self.cron else []
        if schedules:
            definition["triggers"] = {
                "schedule" if number == 1 else f"schedule-{number}": one.trigger
                for number, one in enumerate(schedules, 1)
            }
        definition["jobs"] = jobs
        notes = ["commands run beside the service, not in their images"]
        main = Converted(
            name=self.name, source=self.title, definition=definition, losses=self.report.losses, notes=tuple(notes),
            schedules=tuple(schedules),
        )  # fmt: skip
        return [*self.called.values(), main]

    def _exit(self, jobs: dict[str, Any]) -> None:
        """Add the exit handler, which runs whatever has become of the others."""
        inner = {need for job in jobs.values() for need in job.get("needs", ())}
        last = [name for name in jobs if name not in inner]
        names = Jobs()
        for name in jobs:
            names.of(name)
        body = self.body({"template": self.spec["onExit"]}, (*self.path, "onExit"), Names({}, {}, frozenset()))
        jobs[names.of("on-exit")] = {**body, "needs": last, "run_if": "all_done"}

    def _schedules(self, timezone: str) -> list[Imported]:
        texts = self.outer.get("schedules") if isinstance(self.outer.get("schedules"), list) else None
        found = []
        for text in texts or [self.outer.get("schedule")]:
            spec = {"schedule": text, "timeZone": self.outer.get("timezone"), "suspend": self.outer.get("suspend")}
            manifest = {"kind": "CronJob", "metadata": {"name": self.title}, "spec": spec}
            for one in kubernetes.entries([manifest], timezone):
                if not isinstance(one, Imported):
                    self.refuse((*self.outer_path, "schedule"), one.message)
                    continue
                trigger = dict(one.trigger)
                policy = _OVERLAP.get(str(self.outer.get("concurrencyPolicy")))
                trigger |= {"overlap": policy} if policy else {}
                grace = _whole(self.outer.get("startingDeadlineSeconds"))
                trigger |= {"misfire_grace": f"{grace}s"} if grace else {}
                found.append(msgspec.structs.replace(one, trigger=trigger))
        return found

    def graph(self, name: str, where: Path, given: Mapping[str, str]) -> dict[str, Any]:
        """Return the jobs of a template by its name.

        Raises:
            ValidationFailed: there is no such template, or a task of it is wrong.

        """
        if name not in self.templates:
            self.refuse(where, f"there is no template `{name}`")
        path, template = self.templates[name]
        if "dag" in template:
            tasks = [
                ((*path, "dag", "tasks", place), one)
                for place, one in enumerate(_list(_dict(template["dag"]).get("tasks")))
            ]
            return self._tasks(tasks, given)
        if "steps" in template:
            return self._steps(path, template, given)
        names = Names(given, {}, frozenset())
        return {Jobs().of(name): self.body({"template": name}, where, names)}

    def _steps(self, path: Path, template: dict[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
        tasks: list[tuple[Path, dict[str, Any]]] = []
        before: list[str] = []
        for row, group in enumerate(template["steps"] if isinstance(template["steps"], list) else ()):
            # Argo writes a row as a list, or as {steps: [...]}.
            members = _list(group.get("steps") if isinstance(group, dict) and "name" not in group else group)
            for place, one in enumerate(members):
                depends = " && ".join(before)
                tasks.append(((*path, "steps", row, place), {**one, "depends": depends} if before else dict(one)))
            before = [str(one.get("name")) for one in members] or before
        return self._tasks(tasks, given)

    def _tasks(self, tasks: list[tuple[Path, dict[str, Any]]], given: Mapping[str, str]) -> dict[str, Any]:
        made = Jobs()
        jobs_of: dict[str, str] = {}
        for path, task in tasks:
            name = task.get("name")
            if not isinstance(name, str):
                self.refuse(path, "the task has no `name`")
            if name in jobs_of:
                self.refuse((*path, "name"), f"`{name}` is also another task")
            jobs_of[str(name)] = made.of(str(name))
        parsed = frozenset(jobs_of[name] for name in jobs_of if _is_parsed(name, [task for _, task in tasks]))
        names = Names(given, jobs_of, parsed)
        skippable = frozenset(str(task["name"]) for _, task in tasks if task.get("when"))
        jobs = {}
        for path, task in tasks:
            job = self._job(path, task, names, (jobs_of, skippable))
            if jobs_of[task["name"]] in parsed and "run" in job:
                job["with"] = {**job.get("with", {}), "output": "json"}
            jobs[jobs_of[task["name"]]] = job
        return jobs

    def _job(
        self, path: Path, task: dict[str, Any], names: Names, around: tuple[dict[str, str], frozenset[str]]
    ) -> dict[str, Any]:
        jobs_of, skippable = around
        self.report.unread(task, path, _TASK)
        job = self.body(task, path, names)
        listed = task.get("dependencies")
        text = task.get("depends") or " && ".join(map(str, listed if isinstance(listed, list) else ()))
        checks = []
        if text:
            found = waiting(str(text), jobs_of, skippable)
            if found.unknown:
                self.refuse((*path, "depends"), f"there is no task `{found.unknown[0]}`")
            if found.unsaid:
                self.report.lost((*path, "depends"), found.unsaid)
            job |= found.fields
            checks += [found.condition] if found.condition else []
        if task.get("when"):
            said = condition(str(task["when"]), names, names.given)
            if said is None:
                self.report.lost((*path, "when"), f"`{task['when']}` is not said here; the job runs without it")
            checks += [said] if said else []
        if checks:
            job["if"] = checks[0] if len(checks) == 1 else " && ".join(f"({one})" for one in checks)
        if _dict(task.get("continueOn")).get("failed") or _dict(task.get("continueOn")).get("error"):
            job["allow_failure"] = True
        self._repeat(path, task, names, job)
        return job

    def _repeat(self, path: Path, task: dict[str, Any], names: Names, job: dict[str, Any]) -> None:
        lost = self.report.lost
        if isinstance(task.get("withItems"), list):
            job["map"] = task["withItems"]
        elif isinstance(task.get("withParam"), str):
            job["map"] = names.text(task["withParam"].strip(), partial(lost, (*path, "withParam")))
        elif isinstance(task.get("withSequence"), dict):
            found = _sequence(task["withSequence"])
            if found is None:
                lost((*path, "withSequence"), "only fixed numbers are taken over; the job runs once")
            else:
                job["map"] = found

    def body(self, task: dict[str, Any], path: Path, names: Names) -> dict[str, Any]:
        """Return what a task does: a leaf with its parameters filled in, or the call of another graph."""
        lost = self.report.lost
        if "templateRef" in task:
            lost((*path, "templateRef"), "the template stands in another resource; write its work into the job")
            return {"uses": "noop"}
        if isinstance(task.get("inline"), dict):
            where, template, title = (*path, "inline"), task["inline"], "inline"
        else:
            title = str(task.get("template"))
            if title not in self.templates:
                self.refuse((*path, "template"), f"there is no template `{title}`")
            where, template = self.templates[title]
        wanted = self._arguments(task, path, template, where, names)
        if "dag" in template or "steps" in template:
            return self._call(title, path, template, wanted)
        inner = Names(wanted, names.jobs, names.parsed)
        job = leaf(template, where, inner, self.report)
        retry = retry_of(template, where, self.report)
        job |= {"retry": retry} if retry else {}
        limit = seconds(template.get("activeDeadlineSeconds"))
        job |= {"timeout": f"{limit}s"} if limit else {}
        return job

    def _arguments(
        self, task: dict[str, Any], path: Path, template: dict[str, Any], where: Path, names: Names
    ) -> dict[str, str]:
        """Return the texts of a template's parameters: those that the task gives, else their defaults."""
        found: dict[str, str] = {}
        for place, one in enumerate(_list(_dict(template.get("inputs")).get("parameters"))):
            default = one.get("value", one.get("default"))
            if default is not None:
                at = (*where, "inputs", "parameters", place)
                found[str(one.get("name"))] = names.text(_text(default), partial(self.report.lost, at))
        arguments = _dict(task.get("arguments"))
        for place, one in enumerate(_list(arguments.get("parameters"))):
            at = (*path, "arguments", "parameters", place)
            if "value" in one:
                found[str(one.get("name"))] = names.text(_text(one["value"]), partial(self.report.lost, at))
            else:
                self.report.lost(at, "a value from elsewhere is not taken over")
        if arguments.get("artifacts"):
            self.report.lost(
                (*path, "arguments", "artifacts"), "artifacts are not taken over; pass files by their place"
            )
        return found

    def _call(self, title: str, path: Path, template: dict[str, Any], wanted: dict[str, str]) -> dict[str, Any]:
        """Return the call of a template that is a graph, which becomes a workflow of its own, once."""
        name = workflow_name(f"{self.name}-{title}")
        if title in self.open or len(self.open) >= _DEPTH_MAX:
            chain = " → ".join([*self.open, title])
            self.refuse((*path, "template"), f"templates call each other in a circle: {chain}")
        if name not in self.called:
            self.open.append(title)
            inputs = [str(one.get("name")) for one in _list(_dict(template.get("inputs")).get("parameters"))]
            given = {one: f"${{input[{msgspec.json.encode(one).decode()}]}}" for one in inputs}
            jobs = self.graph(title, path, given)
            self.open.pop()
            definition = {
                "version": 1,
                "name": name,
                "description": plain(f"The template {title} of {self.title} of Argo."),
                "concurrency": {"max_parallel_jobs": _whole(template.get("parallelism")) or _PARALLEL},
                "jobs": jobs,
            }
            self.called[name] = Converted(name=name, source=f"{self.title}/{title}", definition=definition, main=False)
        value: dict[str, Any] = {"workflow": name}
        return {"uses": "workflow", "with": value | ({"input": wanted} if wanted else {})}


def _is_parsed(name: str, tasks: list[dict[str, Any]]) -> bool:
    """Return whether the result of a task is read as a list by another one."""
    wanted = {f"{{{{{kind}.{name}.outputs.result}}}}" for kind in ("tasks", "steps")}
    return any(str(task.get("withParam", "")).replace(" ", "").strip() in wanted for task in tasks)


def _sequence(value: dict[str, Any]) -> list[str] | None:
    try:
        start = int(value.get("start", 0))
        count, end = value.get("count"), value.get("end")
        if count is None and end is None:
            return None
        last = start + int(count) - 1 if count is not None else int(str(end))
    except (TypeError, ValueError):
        return None
    step = 1 if last >= start or count is not None else -1
    if abs(last - start) >= 10_000:  # noqa: PLR2004 -- as many instances as a map may have
        return None
    form = str(value.get("format") or "%d")
    try:
        return [form % number for number in range(start, last + step, step)]
    except (TypeError, ValueError):
        return None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
