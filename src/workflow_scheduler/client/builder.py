"""Workflows put together step by step: one task after the other unless a task says what it needs.

::

    document = (
        WorkflowBuilder("welcome", triggers=[Event("user_created")])
        .add(task("send").tool("email").input(to="${input.email}", subject="Welcome"))
        .add(task("wait").tool("sleep_for").input(duration="2d"))
        .add(task("follow_up").tool("email").input(to="${input.email}").when("${steps.send.output.sent} == true"))
        .build()
    )
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Self, Unpack

from workflow_scheduler.client.expressions import cel, plain
from workflow_scheduler.client.flow import Need, WorkflowOptions, workflow_document
from workflow_scheduler.client.trigger import Trigger, Triggers, triggers_document

_TOOLS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "http.request": "http",
        "email.send": "email",
        "slack.send": "slack",
        "shell.run": "run",
        "python.run": "python",
        "sql.query": "sql",
        "approval.request": "approval",
        "workflow.run": "workflow",
        "event.emit": "emit",
    }
)
_PREFIX = "tools."


def tool_type(tool: str) -> str:
    """Return the job type of a tool: `tools.email.send` is `email`, `tools.time.sleep_for` is `sleep_for`."""
    if not tool.startswith(_PREFIX):
        return tool
    path = tool.removeprefix(_PREFIX)
    return _TOOLS.get(path) or path.rpartition(".")[2]


class Task:
    """One job under construction; each method returns the task itself."""

    def __init__(self, name: str) -> None:
        """Name the job."""
        self.name = name
        self._job: dict[str, Any] = {}
        self._with: dict[str, Any] = {}

    def tool(self, tool: str) -> Self:
        """Say what does the work: a job type, or a tool such as `tools.http.request`."""
        self._job["uses"] = tool_type(tool)
        return self

    def run(self, command: str) -> Self:
        """Run a shell command."""
        self._job["run"] = command
        return self

    def input(self, values: Mapping[str, Any] | None = None, /, **more: Any) -> Self:
        """Give the configuration of the job type; a mapping serves fields that are no Python names."""
        self._with |= plain({**(values or {}), **more})
        return self

    def when(self, condition: Any) -> Self:
        """Run it only when the condition holds: CEL, with or without `${…}` around its values."""
        self._job["if"] = cel(condition)
        return self

    def needs(self, *jobs: Need) -> Self:
        """Name the jobs that come before; without arguments none does."""
        self._job["needs"] = [plain(one.name if isinstance(one, Task) else one) for one in jobs]
        return self

    def run_if(self, rule: str) -> Self:
        """Say how the jobs before must have ended."""
        self._job["run_if"] = rule
        return self

    def retry(self, attempts: int, **more: Any) -> Self:
        """Try it again: `attempts` in all, with `delay`, `backoff`, `on`."""
        self._job["retry"] = {"attempts": attempts, **more}
        return self

    def timeout(self, duration: str | float) -> Self:
        """Stop it after a time."""
        self._job["timeout"] = duration
        return self

    def map(self, items: Any, *, max_parallel: int | None = None) -> Self:
        """Run it for each item of a list."""
        self._job["map"] = plain(items)
        if max_parallel is not None:
            self._job["max_parallel"] = max_parallel
        return self

    def set(self, **keys: Any) -> Self:
        """Set other keys of the job: `allow_failure=True`, `env={…}`, `for_each=[…]`; `while_` is `while`."""
        self._job |= {key.removesuffix("_"): plain(value) for key, value in keys.items()}
        return self

    def document(self, before: Task | None) -> dict[str, Any]:
        """Return the job; without needs of its own it comes after `before`, even a skipped one."""
        job = dict(self._job)
        needs = job.pop("needs", None)
        if needs is None and before is not None:
            needs = [before.name]
            if "if" in before._job:  # noqa: SLF001 -- the same class
                job.setdefault("run_if", "none_failed")
        given = dict(self._with)
        if job.get("uses") == "run" and set(given) == {"command"}:
            del job["uses"]
            job["run"] = given.pop("command")
        return ({"needs": needs} if needs else {}) | job | ({"with": given} if given else {})


def task(name: str) -> Task:
    """Begin a task."""
    return Task(name)


class WorkflowBuilder:
    """A workflow under construction; each method returns the builder itself."""

    def __init__(self, name: str, *, triggers: Triggers = (), **options: Unpack[WorkflowOptions]) -> None:
        """Name the workflow; `options` are the other keys of a definition."""
        self._name = name
        self._triggers = triggers_document(triggers)
        self._options: dict[str, Any] = dict(options)
        self._tasks: dict[str, Task] = {}

    def on(self, name: str, trigger: Trigger) -> Self:
        """Add a trigger."""
        self._triggers[name] = trigger.document()
        return self

    def add(self, *tasks: Task) -> Self:
        """Add tasks; each comes after the one before it unless it says what it needs.

        Raises:
            ValueError: there is a task of that name already.

        """
        for one in tasks:
            if one.name in self._tasks:
                message = f"there is a task `{one.name}` already"
                raise ValueError(message)
            self._tasks[one.name] = one
        return self

    def build(self) -> dict[str, Any]:
        """Return the definition."""
        jobs: dict[str, Any] = {}
        before: Task | None = None
        for one in self._tasks.values():
            jobs[one.name] = one.document(before)
            before = one
        made = workflow_document(self._name, (), jobs, self._options)
        triggers = {"triggers": self._triggers} if self._triggers else {}
        return {key: part for key, part in made.items() if key != "jobs"} | triggers | {"jobs": jobs}
