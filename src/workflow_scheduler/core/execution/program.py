"""What can be prepared once per graph, so that nothing of it costs anything per run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgspec
from pydantic import ValidationError

from workflow_scheduler.core.dag.actions import SkipReason
from workflow_scheduler.core.dag.graph import Graph, Node
from workflow_scheduler.core.errors import Rejected, did_you_mean
from workflow_scheduler.core.execution.failure import Failure, failure, from_config, from_exception
from workflow_scheduler.core.match.condition import Condition


class Step(msgspec.Struct, frozen=True, eq=False):
    """A job, ready to run.

    `config` is there when it holds no `${…}`; `problem` says why the job cannot run at all; `child` that it runs in a
    child process.
    """

    node: Node
    module: Any
    inline: bool
    config: Any
    env: Mapping[str, str] | None
    problem: Failure | None
    child: bool = False


Program: TypeAlias = tuple[Step, ...]
See: TypeAlias = Callable[[Mapping[str, str]], Mapping[str, Any]]
Prepared: TypeAlias = tuple[Any, Mapping[str, str]]


def prepare(graph: Graph, job_types: Mapping[str, Any], *, allow_code: bool = True) -> Program:
    """Return the steps of `graph` by index; a job that cannot run fails when its turn comes, not here.

    Without `allow_code` jobs that run code are among those, also in workflows that were deployed while it was allowed.
    """
    steps = (_step(node, job_types) for node in graph.nodes)
    return tuple(step if allow_code else _without_code(step) for step in steps)


def _without_code(step: Step) -> Step:
    if step.module is None or not step.module.needs_code_allowance:
        return step
    text = f"jobs of type `{step.node.type}` run code, which is not allowed here"
    problem = failure("code_not_allowed", text, fix="Start the service with WFS_ALLOW_CODE=true.")
    return msgspec.structs.replace(step, problem=problem)


def judge(step: Step, see: See) -> SkipReason | Failure | None:
    """Return why a job does not run as far as its `if` says, None when it runs."""
    if step.node.condition is None:
        return None
    try:
        return _refusal(step.node.condition, see(_environment(step, see)))
    except Rejected as error:
        return failure("expression_failed", error.detail)


def _environment(step: Step, see: See) -> Mapping[str, str]:
    if step.env is not None:
        return step.env
    return {name: _text(value) for name, value in step.node.env.render(see({})).items()}


def fill_in(step: Step, see: See, *, judged: bool = False) -> Prepared | SkipReason | Failure:
    """Return a job's configuration and environment for this run, or why the job does not run.

    `see` gives the variables for an environment. `judged`: the `if` of the job holds already.
    """
    if step.problem is not None:
        return step.problem
    node = step.node
    try:
        env = _environment(step, see)
        refusal = None if judged or node.condition is None else _refusal(node.condition, see(env))
        if refusal is not None:
            return refusal
        config = step.config
        if config is None:
            config = step.module.Config.model_validate(node.config.render(see(env)))
    except ValidationError as error:
        return from_config(error)
    except Rejected as error:
        return failure("expression_failed", error.detail)
    except Exception as error:  # noqa: BLE001 - stored input or a plug-in's model can fail in any way
        return from_exception(error, step.module)
    return config, env


def _refusal(condition: Condition, variables: Mapping[str, Any]) -> SkipReason | Failure | None:
    answer = condition.judge(variables)
    if answer.result is None:
        text = f"`if: {condition.text}` is neither true nor false: {answer.reason}"
        return failure("condition_unknown", text)
    return None if answer.result else SkipReason.CONDITION_FALSE


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _starts_process(module: Any, node: Node) -> bool:
    fields = node.config.value
    return hasattr(module, "starts_process") and bool(module.starts_process(fields if isinstance(fields, dict) else {}))


def _step(node: Node, job_types: Mapping[str, Any]) -> Step:
    module = job_types.get(node.type)
    env = {name: _text(value) for name, value in node.env.value.items()} if node.env.static else None
    if module is None:
        near = did_you_mean(node.type, job_types)
        hint = f", did you mean `{near}`?" if near else "; it may belong to an extra that is not installed"
        problem = failure("job_type_unknown", f"there is no job type `{node.type}`{hint}")
        return Step(node, None, inline=False, config=None, env=env, problem=problem)
    child = not module.inline and _starts_process(module, node)
    if not node.config.static:
        return Step(node, module, module.inline, None, env, None, child)
    try:
        return Step(node, module, module.inline, module.Config.model_validate(node.config.value), env, None, child)
    except ValidationError as error:
        return Step(node, module, module.inline, None, env, from_config(error))
