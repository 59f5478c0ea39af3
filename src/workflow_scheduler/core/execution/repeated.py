"""Repeated jobs as pure functions: their items, what an instance sees of its loop, and what they end with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from workflow_scheduler.core.dag.actions import Result
from workflow_scheduler.core.dag.graph import Node
from workflow_scheduler.core.dag.repeat import Repeat
from workflow_scheduler.core.errors import Rejected
from workflow_scheduler.core.execution.failure import Failure, body, failure
from workflow_scheduler.core.model.run import JobRecord, JobStatus

_SHOWN_CHARS = 200
_NAMED_MAX = 20
_NULL = msgspec.Raw(b"null")
_KINDS = ((bool, "a boolean"), (str, "a text"), ((int, float), "a number"), (dict, "an object"))


def items_of(job_id: str, repeat: Repeat, variables: Mapping[str, Any], most: int) -> Sequence[Any] | Failure | None:
    """Return the items of a repeated job, at most `most`; None for a `while`, which has none."""
    if repeat.items is None:
        return None
    try:
        value = repeat.items.render(variables)
    except Rejected as error:
        return failure("expression_failed", error.detail)
    if not isinstance(value, (list, tuple)):
        what = next((name for kind, name in _KINDS if isinstance(value, kind)), "null")
        text = f"`{repeat.kind}` of job `{job_id}` wants a list and got {what}: {_shown(value)}"
        return failure("not_a_list", text)
    if repeat.max_iterations is not None and repeat.max_iterations < most:
        most = repeat.max_iterations
    if len(value) > most:
        text = f"`{repeat.kind}` of job `{job_id}` got a list of {len(value)} items; {most} are allowed"
        return failure("too_many_items", text)
    return value


def loop_view(place: int, count: int | None, before: JobRecord | None) -> dict[str, Any]:
    """Return the variable `iteration` of the instance at `place`; `before` is the record of the one before it."""
    output = None if before is None or before.output is None else msgspec.json.decode(before.output)
    return {"index": place, "count": count, "previous": output}


def holds(repeat: Repeat, variables: Mapping[str, Any], place: int) -> bool | Failure:
    """Return whether the `while` of a loop holds before the iteration at `place`."""
    assert repeat.condition is not None
    answer = repeat.condition.judge(variables)
    if answer.result is None:
        text = f"`while: {repeat.condition.text}` is neither true nor false before iteration {place}"
        return failure("condition_unknown", f"{text}: {answer.reason}")
    return answer.result


def gathered(ended: Mapping[int, JobRecord], total: int | None, bytes_max: int) -> bytes | Failure:
    """Return the outputs of all instances as one list, in order, null where there is none."""
    parts = []
    for place in range(max(ended, default=-1) + 1 if total is None else total):
        one = ended.get(place)
        good = one is not None and one.status is JobStatus.SUCCEEDED and one.output is not None
        parts.append(msgspec.Raw(one.output) if good and one is not None and one.output is not None else _NULL)
    output = msgspec.json.encode(parts)
    if len(output) > bytes_max:
        return failure("output_too_large", f"the outputs together have {len(output)} bytes; the limit is {bytes_max}")
    return output


def exhausted(node: Node) -> Failure:
    """Return the failure of a loop that was stopped at its bound."""
    bound = node.repeat.max_iterations if node.repeat is not None else None
    text = f"the `while` of job `{node.id}` still holds after {bound} iterations, its `max_iterations`"
    return failure("max_iterations", text)


def instances_failed(job_id: str, ended: Mapping[int, JobRecord], total: int | None) -> Failure:
    """Return the failure of a repeated job of which instances failed."""
    failed = sorted(place for place, one in ended.items() if one.status is JobStatus.FAILED)
    first = ended[failed[0]]
    known: Any = msgspec.json.decode(first.error or b"{}")
    of_all = f"of {total} " if total is not None else ""
    message = f"{len(failed)} {of_all}instances of job `{job_id}` failed; {first.job_id}: {known.get('message')}"
    error = body("instance_failed", message, failed=failed[:_NAMED_MAX], count=len(failed))
    return Failure(error, Result(JobStatus.FAILED, code="instance_failed"))


def _shown(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "…"
