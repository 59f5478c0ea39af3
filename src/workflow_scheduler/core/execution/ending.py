"""What is stored when a run begins and ends, and when a job is skipped."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from workflow_scheduler.core.dag.actions import EndRun, SkipReason
from workflow_scheduler.core.dag.graph import Graph
from workflow_scheduler.core.execution.failure import body
from workflow_scheduler.core.model.run import JobRecord, Run, RunChange, RunStatus

_NAMED_JOBS_MAX = 20
SKIP_ERRORS: Final[Mapping[SkipReason, bytes]] = MappingProxyType(
    {
        SkipReason.UPSTREAM_FAILED: body(SkipReason.UPSTREAM_FAILED, "not run: a job before it failed"),
        SkipReason.RULE_NOT_MET: body(SkipReason.RULE_NOT_MET, "not run: its `run_if` does not hold"),
        SkipReason.CONDITION_FALSE: body(SkipReason.CONDITION_FALSE, "not run: its `if` is false"),
        SkipReason.FAIL_FAST: body(SkipReason.FAIL_FAST, "not run: another job failed and the workflow has fail_fast"),
        SkipReason.RUN_STOPPED: body(SkipReason.RUN_STOPPED, "not run: the run was stopped"),
    }
)


def standing(run: Run, started_at: int, status: RunStatus) -> RunChange:
    """Return the change that says that a run is under way, or waits only."""
    return RunChange(tenant_id=run.tenant_id, run_id=run.id, fence=run.fence, status=status, started_at=started_at)


def change(run: Run, end: EndRun, graph: Graph, records: Mapping[int, JobRecord], times: tuple[int, int]) -> RunChange:
    """Return the final change of a run; `times` are its start and end.

    The output of a run that succeeded is that of its one leaf job, or `{job: output}` of all leaves that ran.
    """
    succeeded = end.status is RunStatus.SUCCEEDED
    return RunChange(
        tenant_id=run.tenant_id,
        run_id=run.id,
        fence=run.fence,
        status=end.status,
        started_at=times[0],
        ended_at=times[1],
        output=output_of(graph, records) if succeeded else None,
        error=None if succeeded else _error(end, graph, records),
    )


def output_of(graph: Graph, records: Mapping[int, JobRecord]) -> bytes:
    """Return the JSON of the run's output."""
    if len(graph.leaves) == 1:
        record = records.get(graph.leaves[0])
        return b"null" if record is None or record.output is None else record.output
    outputs = {}
    for leaf in graph.leaves:
        record = records.get(leaf)
        if record is not None and record.output is not None:
            outputs[record.job_id] = msgspec.Raw(record.output)
    return msgspec.json.encode(outputs)


def _error(end: EndRun, graph: Graph, records: Mapping[int, JobRecord]) -> bytes:
    more: dict[str, Any] = {}
    message = ""
    if end.failed:
        names = [graph.nodes[job].id for job in end.failed]
        more = {"job": names[0], "jobs": names[:_NAMED_JOBS_MAX]}
        message = f"job `{names[0]}` failed: {_message(records.get(end.failed[0]))}"
        if len(names) > 1:
            message += f" (and {len(names) - 1} more)"
    if end.code == "timeout":
        message = f"the run took longer than its timeout of {(graph.timeout_us or 0) / 1_000_000:g} s"
    elif end.code == "cancelled":
        message = "the run was cancelled"
    return body(end.code or "failed", message, **more)


def _message(record: JobRecord | None) -> str:
    if record is None or record.error is None:
        return "no reason is recorded"
    return str(msgspec.json.decode(record.error).get("message"))
