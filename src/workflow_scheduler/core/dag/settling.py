"""How the ends of jobs count for the jobs that need them, and for the run: the part of the planner without time."""

from __future__ import annotations

import msgspec

from workflow_scheduler.core.dag.actions import COUNTS_AS_FAILED, Action, EndRun, Result, SkipJob, SkipReason
from workflow_scheduler.core.dag.conditions import ALLOWED, FAILED, GOOD, SKIPPED
from workflow_scheduler.core.dag.graph import Graph
from workflow_scheduler.core.dag.run_if import RULES, Upstream
from workflow_scheduler.core.model.run import JobRecord, JobStatus, RunStatus

PENDING, READY, RUNNING, WAITING, PARKED, OPEN, DONE = range(7)


class _Reason(msgspec.Struct, frozen=True):
    """The part of a skipped job's stored error that matters here."""

    code: SkipReason


class Settling:
    """The states of the jobs of one run of `graph`."""

    __slots__ = ("_failed", "_failing", "_graph", "_left", "_ready", "_state", "_stop", "_tally", "_waiting")

    def __init__(self, graph: Graph) -> None:
        """Begin with every job pending."""
        self._graph = graph
        self._state = bytearray(len(graph.nodes))
        self._waiting = list(graph.needs_count)
        self._tally: dict[int, list[int]] = {}
        self._ready: list[int] = []  # a queue: those before `_head` have been taken
        self._left = len(graph.nodes)
        self._failed: list[int] = []
        self._failing = False
        self._stop: tuple[RunStatus, str] | None = None

    def _kind(self, job: int, result: Result) -> int:
        """Say how the end of a job counts for its dependents, and keep a failure for the end of the run."""
        status = result.status
        if status is JobStatus.SUCCEEDED:
            return GOOD
        if status is JobStatus.SKIPPED:
            return FAILED if result.reason in COUNTS_AS_FAILED else SKIPPED
        if status is JobStatus.FAILED:
            if self._graph.nodes[job].allow_failure:
                return ALLOWED
            self._failed.append(job)
            self._failing = self._failing or self._graph.fail_fast
        return FAILED

    def _close(self, job: int) -> None:
        self._state[job] = DONE
        self._left -= 1

    def _settle(self, ended: list[tuple[int, int]], actions: list[Action]) -> None:
        """Count the ends at the jobs that need them; those become ready, or are skipped, which settles more."""
        nodes, waiting, edges = self._graph.nodes, self._waiting, self._graph.edges
        while ended:
            job, kind = ended.pop()
            for dependent in nodes[job].dependents:
                counted = edges[job, dependent][kind] if edges and (job, dependent) in edges else kind
                if counted != GOOD:
                    self._tally.setdefault(dependent, [0, 0, 0, 0])[counted] += 1
                waiting[dependent] -= 1
                if waiting[dependent] or self._state[dependent] != PENDING:
                    continue
                reason = self._refusal(dependent)
                if reason is None:
                    self._state[dependent] = READY
                    self._ready.append(dependent)
                else:
                    self._skip(dependent, reason, actions)
                    ended.append((dependent, FAILED if reason in COUNTS_AS_FAILED else SKIPPED))

    def _refusal(self, job: int) -> SkipReason | None:
        if self._stop is not None:
            return SkipReason.RUN_STOPPED
        node = self._graph.nodes[job]
        if self._failing and node.wants_success:
            return SkipReason.FAIL_FAST
        tally = self._tally.pop(job, None)
        if tally is None:
            up = Upstream(len(node.needs), 0, 0)
        else:
            up = Upstream(len(node.needs) - sum(tally), tally[FAILED], tally[SKIPPED], tally[ALLOWED])
        if RULES[node.run_if](up):
            return None
        return SkipReason.UPSTREAM_FAILED if node.wants_success and up.failed else SkipReason.RULE_NOT_MET

    def _skip(self, job: int, reason: SkipReason, actions: list[Action]) -> None:
        self._close(job)
        actions.append(SkipJob(job, reason))

    def _end(self) -> EndRun:
        if self._stop is not None:
            return EndRun(self._stop[0], tuple(self._failed), self._stop[1])
        if self._failed:
            return EndRun(RunStatus.FAILED, tuple(self._failed), "job_failed")
        return EndRun(RunStatus.SUCCEEDED)


def result_of(record: JobRecord) -> Result:
    """Return the result that a final record stands for; a skip's reason is the code of its error."""
    if record.status is not JobStatus.SKIPPED or record.error is None:
        return Result(record.status)
    try:
        code = msgspec.json.decode(record.error, type=_Reason).code
    except msgspec.MsgspecError:
        code = None
    return Result(record.status, reason=code)
