"""The tasks of a DAG as a skeleton of jobs: names, order and retries; what a task does is taken over for Bash only."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import re2

from workflow_scheduler.core.time.dialects.airflow_values import Values, name_of
from workflow_scheduler.core.time.dialects.entry import Unread, literal

_OUTSIDE = re2.compile(r"[^A-Za-z0-9_-]+")
_RUN_IF = {
    "all_success": None,
    "all_done": "all_done",
    "all_failed": "all_failed",
    "one_success": "at_least_one_success",
    "one_failed": "at_least_one_failed",
    "none_failed": "none_failed",
}
_EMPTY = frozenset({"EmptyOperator", "DummyOperator"})
_BLOCKS = (ast.For, ast.While, ast.If, ast.Try)


class Tasks:
    """Collects the tasks and their order from the statements of one DAG."""

    def __init__(self, values: Values, defaults: dict[str, Any], functions: dict[str, ast.FunctionDef]) -> None:
        """Start without tasks; `functions` are those with a `@task` decorator, by name."""
        self.jobs: dict[str, dict[str, Any]] = {}
        self.notes: list[str] = []
        self.unread: list[Unread] = []
        self._values = values
        self._defaults = defaults
        self._functions = functions
        self._by_variable: dict[str, list[str]] = {}

    def read(self, statements: Iterable[ast.stmt]) -> None:
        """Read statements in their order."""
        for one in statements:
            if isinstance(one, ast.Assign) and isinstance(one.value, ast.Call):
                made = self._task(one.value)
                for target in one.targets:
                    if made and isinstance(target, ast.Name):
                        self._by_variable[target.id] = made
            elif isinstance(one, ast.Expr):
                self._expression(one.value)
            elif isinstance(one, ast.With):
                self.read(one.body)
            elif isinstance(one, _BLOCKS) and self._has_tasks(one):
                self._leave(one, "tasks that a loop or a condition makes are not taken over")

    def _expression(self, node: ast.expr) -> None:
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.RShift, ast.LShift)):
            self._order(node)
        elif isinstance(node, ast.Call):
            name = name_of(node.func)
            if name.rpartition(".")[2] == "chain" and node.args:
                steps = [self._side(one) for one in node.args]
                for before, after in pairwise(steps):
                    self._join(before, after, node)
            elif (
                name.endswith((".set_downstream", ".set_upstream"))
                and node.args
                and isinstance(node.func, ast.Attribute)
            ):
                own, other = self._side(node.func.value), self._side(node.args[0])
                pair = (own, other) if name.endswith("downstream") else (other, own)
                self._join(*pair, node)
            else:
                self._task(node)

    def _order(self, node: ast.BinOp) -> list[str] | None:
        """Join both sides of `>>` or `<<`; return the side that a further operator goes on from."""
        left = self._side(node.left)
        right = self._side(node.right)
        self._join(*((left, right) if isinstance(node.op, ast.RShift) else (right, left)), node)
        return right

    def _side(self, node: ast.expr) -> list[str] | None:
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.RShift, ast.LShift)):
            return self._order(node)
        if isinstance(node, ast.Name):
            return self._by_variable.get(node.id)
        if isinstance(node, (ast.List, ast.Tuple)):
            sides = [self._side(one) for one in node.elts]
            return None if None in sides else [name for side in sides for name in side or ()]
        return self._task(node) if isinstance(node, ast.Call) else None

    def _join(self, before: list[str] | None, after: list[str] | None, node: ast.expr) -> None:
        if before is None or after is None:
            self._leave(node, "this order names what is no single task; write `needs` into the jobs")
            return
        for name in after:
            needs = self.jobs[name].setdefault("needs", [])
            needs += [one for one in before if one not in needs and one != name]

    def _task(self, call: ast.Call) -> list[str] | None:
        """Add the task that a call makes, if it makes one, and return its name in a list."""
        name = name_of(call.func)
        short = name.rpartition(".")[2]
        if short in {"expand", "expand_kwargs", "map"}:
            self._leave(call, "a mapped task runs once per item; loop inside the job, or start runs with `emit`")
            return None
        function = self._functions.get(name.partition(".")[0])
        if function is not None:
            return self._taskflow(call, function)
        if not short.endswith(("Operator", "Sensor", "OperatorAsync", "SensorAsync")):
            return None
        named = self._values.named(call)
        title = named.get("task_id")
        if not isinstance(title, str):
            self._leave(call, f"the task_id of this {short} can only be known by running the file")
            return None
        return [self._add(title, self._work(short, named), named)]

    def _taskflow(self, call: ast.Call, function: ast.FunctionDef) -> list[str]:
        named: dict[str, Any] = {}
        for decorator in function.decorator_list:
            if isinstance(decorator, ast.Call):
                named = self._values.named(decorator)
        given = [*call.args, *(one.value for one in call.keywords)]
        needs = [name for one in given for name in self._side(one) or ()]
        title = named.get("task_id")
        name = self._add(title if isinstance(title, str) else function.name, None, named)
        if needs:
            self.jobs[name]["needs"] = list(dict.fromkeys(needs))
        self.notes.append(f"write the work of the function `{function.name}` into the job `{name}`, as a `python` job")
        return [name]

    def _work(self, kind: str, named: dict[str, Any]) -> dict[str, Any] | None:
        command = named.get("bash_command")
        if kind == "BashOperator" and isinstance(command, str):
            if "{{" in command or "{%" in command:
                self.notes.append(f"the command of `{named['task_id']}` holds Jinja: write it with `${{…}}`")
                return None
            return {"run": literal(command.strip())}
        if kind not in _EMPTY:
            self.notes.append(f"write the work of its task `{named['task_id']}` ({kind}) into the job")
        return None

    def _add(self, title: str, work: dict[str, Any] | None, named: dict[str, Any]) -> str:
        base = _OUTSIDE.sub("_", title)[:50] or "task"
        base = base if base[0].isalpha() or base[0] == "_" else f"t_{base}"
        name, number = base, 1
        while name in self.jobs:
            number += 1
            name = f"{base}_{number}"
        self.jobs[name] = (work or {"uses": "noop"}) | self._policy(name, self._defaults | named)
        return name

    def _policy(self, name: str, named: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        retries, delay, limit = (named.get(one) for one in ("retries", "retry_delay", "execution_timeout"))
        if isinstance(retries, int) and 0 < retries < 100:  # noqa: PLR2004 -- `attempts` goes up to 100
            wait = delay if isinstance(delay, timedelta) else timedelta(minutes=5)
            found["retry"] = {"attempts": retries + 1, "delay": f"{int(wait.total_seconds())}s"}
        if isinstance(limit, timedelta):
            found["timeout"] = f"{max(1, int(limit.total_seconds()))}s"
        rule = named.get("trigger_rule")
        if isinstance(rule, str) and _RUN_IF.get(rule, ""):
            found["run_if"] = _RUN_IF[rule]
        elif rule is not None and rule != "all_success":
            self.notes.append(f"the trigger rule of `{name}` is not taken over: see `run_if`")
        return found

    def _has_tasks(self, block: ast.stmt) -> bool:
        calls = (one for one in ast.walk(block) if isinstance(one, ast.Call))
        names = (name_of(one.func) for one in calls)
        return any(one.endswith(("Operator", "Sensor")) or one.partition(".")[0] in self._functions for one in names)

    def _leave(self, node: ast.stmt | ast.expr, message: str) -> None:
        text = " ".join(ast.unparse(node).split())
        self.unread.append(Unread(text[:100] + ("…" if len(text) > 100 else ""), message, node.lineno))  # noqa: PLR2004
