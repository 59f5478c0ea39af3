"""The planner: a pure state machine that says what a run does next.

It knows no clock, no store and no loop. An engine hands it what became of jobs and carries out the actions that it
returns; the same results in the same order always give the same actions. Every call costs in proportion to the jobs
that it settles and their edges, whatever the size of the graph.

One job goes through::

    pending -> ready -> running -> done
                ^          |
                |          +-> waiting (retry delay)  -> wake
                +-------------------<----------------------+
                           +-> parked (waits for a time or an answer, holds no slot) -> done

**After a crash** `restore` takes the stored records. Jobs that ended are not run again. A job that was running is
started anew as the next attempt: the interrupted attempt counts, but it is never the last one, so a job with
`attempts: 1` runs once more, and a job with `attempts: 3` that was interrupted in its third attempt gets a fourth,
which must succeed. What keeps killing the process is stopped by the count of deliveries of the run, not here.
Jobs in a retry delay or parked are as they were; the engine arms their timers again from `wake_at`.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final
from zlib import crc32

import msgspec

from workflow_scheduler.core.dag.graph import Graph, Node
from workflow_scheduler.core.dag.run_if import RULES, Upstream
from workflow_scheduler.core.model.run import JOB_FINAL, JobRecord, JobStatus, RunStatus


class SkipReason(StrEnum):
    """Why a job was not run."""

    UPSTREAM_FAILED = "upstream_failed"  # its rule wants success and something before it failed
    RULE_NOT_MET = "rule_not_met"  # its `run_if` does not hold, and nothing failed that it would have wanted
    CONDITION_FALSE = "condition_false"  # its `if` is false
    FAIL_FAST = "fail_fast"  # another job failed, and the workflow stops at the first failure
    RUN_STOPPED = "run_stopped"  # the run was cancelled or ran out of time


_COUNTS_AS_FAILED = frozenset({SkipReason.UPSTREAM_FAILED, SkipReason.FAIL_FAST})


class StartJob(msgspec.Struct, frozen=True, gc=False):
    """Run attempt number `attempt` of the job now."""

    job: int
    attempt: int


class RetryJob(msgspec.Struct, frozen=True, gc=False):
    """Store that the job is tried again, and call `wake` after `delay_us`; until then it holds nothing."""

    job: int
    attempt: int
    delay_us: int


class SkipJob(msgspec.Struct, frozen=True, gc=False):
    """Store that the job is not run."""

    job: int
    reason: SkipReason


class CancelJob(msgspec.Struct, frozen=True, gc=False):
    """Stop the job, and `apply` what became of it: normally CANCELLED."""

    job: int


class EndRun(msgspec.Struct, frozen=True, gc=False):
    """Every job has ended. `failed` are the jobs that failed without leave; `code` says why a run was stopped."""

    status: RunStatus
    failed: tuple[int, ...] = ()
    code: str | None = None


Action = StartJob | RetryJob | SkipJob | CancelJob | EndRun


class Result(msgspec.Struct, frozen=True, gc=False):
    """What became of a job. PAUSED parks it. `code` and `retryable` describe a failure, `reason` a skip."""

    status: JobStatus
    code: str | None = None
    retryable: bool = False
    retry_after_us: int = 0
    reason: SkipReason | None = None


class _Reason(msgspec.Struct, frozen=True):
    """The part of a skipped job's stored error that matters here."""

    code: SkipReason


_PENDING, _READY, _RUNNING, _WAITING, _PARKED, _DONE = range(6)
_GOOD, _FAILED, _SKIPPED, _ALLOWED = range(4)
SUCCEEDED: Final = Result(JobStatus.SUCCEEDED)
CANCELLED: Final = Result(JobStatus.CANCELLED)
PAUSED: Final = Result(JobStatus.PAUSED)


def retry_delay_us(node: Node, attempt: int, seed: str) -> int:
    """Return the pause after failed attempt number `attempt`, in microseconds.

    Jitter takes up to half of it away; it is drawn from (seed, job, attempt), so that a plan can be repeated.
    """
    retry = node.retry
    factor = {"fixed": 1.0, "linear": float(attempt), "exponential": 2.0 ** min(attempt - 1, 60)}[retry.backoff]
    seconds = min(retry.delay * factor, retry.max_delay)
    if retry.jitter:
        draw = crc32(f"{seed}:{node.id}:{attempt}".encode()) / 0xFFFFFFFF
        seconds *= 1.0 - draw / 2
    return round(seconds * 1_000_000)


class Progress:
    """How far one run of `graph` has come. `seed` is the run's id; it only feeds the jitter."""

    __slots__ = (
        "_attempts", "_failed", "_failing", "_graph", "_head", "_left", "_live", "_ready", "_running", "_seed",
        "_slots", "_state", "_stop", "_tally", "_waiting",
    )  # fmt: skip

    def __init__(self, graph: Graph, *, seed: str = "", max_parallel: int | None = None) -> None:
        """Begin with every job pending."""
        self._graph = graph
        self._seed = seed
        self._slots = max_parallel or graph.max_parallel
        self._state = bytearray(len(graph.nodes))
        self._waiting = list(graph.needs_count)
        self._tally: dict[int, list[int]] = {}
        self._attempts: dict[int, int] = {}
        self._ready: list[int] = []  # a queue: those before `_head` have been taken
        self._head = 0
        self._live: dict[int, None] = {}
        self._running = 0
        self._left = len(graph.nodes)
        self._failed: list[int] = []
        self._failing = False
        self._stop: tuple[RunStatus, str] | None = None

    def start(self) -> list[Action]:
        """Return the first actions of a run that has no history."""
        self._ready.extend(self._graph.roots)
        return self._advance([])

    def restore(self, records: Iterable[JobRecord]) -> list[Action]:
        """Return the first actions of a run that goes on from its stored records (see the module)."""
        index = self._graph.index
        ended: list[tuple[int, int]] = []
        known: set[int] = set()
        for record in records:
            job = index.get(record.job_id)
            if job is None:
                continue
            known.add(job)
            if record.status in JOB_FINAL:
                ended.append((job, self._kind(job, _result_of(record))))
                self._close(job)
            else:
                self._reopen(job, record)
        self._ready.extend(root for root in self._graph.roots if root not in known)
        actions: list[Action] = []
        if self._failing or self._stop is not None:
            self._cancel_live(actions, all_of_them=self._stop is not None)
        self._settle(ended, actions)
        return self._advance(actions)

    def apply(self, job: int, result: Result) -> list[Action]:
        """Take in what became of a job that runs, waits or is parked, and return what follows from it.

        A result for a job that has ended already, or has not begun, is ignored.
        """
        state = self._state[job]
        if state == _DONE or state <= _READY:
            return []
        if state == _RUNNING:
            self._running -= 1
        if result.status is JobStatus.PAUSED:
            self._state[job] = _PARKED
            return self._advance([])
        retry = self._retry(job, result)
        if retry is not None:
            self._state[job] = _WAITING
            self._attempts[job] = retry.attempt
            return self._advance([retry])
        del self._live[job]
        was_failing = self._failing
        kind = self._kind(job, result)
        self._close(job)
        actions: list[Action] = []
        if self._failing and not was_failing:
            self._cancel_live(actions, all_of_them=False)
        if self._graph.nodes[job].dependents:
            self._settle([(job, kind)], actions)
        return self._advance(actions)

    def wake(self, job: int) -> list[Action]:
        """Say that the delay of a `RetryJob` has passed."""
        if self._state[job] != _WAITING:
            return []
        self._state[job] = _READY
        del self._live[job]
        self._ready.append(job)
        return self._advance([])

    def stop(self, status: RunStatus, code: str) -> list[Action]:
        """Cancel what is under way, start nothing more, and end the run with `status` (CANCELLED or FAILED)."""
        if self._stop is not None:
            return []
        self._stop = (status, code)
        actions: list[Action] = []
        self._cancel_live(actions, all_of_them=True)
        return self._advance(actions)

    def _retry(self, job: int, result: Result) -> RetryJob | None:
        if result.status is not JobStatus.FAILED or self._stop is not None:
            return None
        node = self._graph.nodes[job]
        attempt = self._attempts.get(job, 1)
        wanted = result.code in node.retry.on if node.retry.on else result.retryable
        if attempt >= node.retry.attempts or not wanted or (self._failing and node.wants_success):
            return None
        delay = max(retry_delay_us(node, attempt, self._seed), result.retry_after_us)
        return RetryJob(job, attempt + 1, delay)

    def _kind(self, job: int, result: Result) -> int:
        """Say how the end of a job counts for its dependents, and keep a failure for the end of the run."""
        status = result.status
        if status is JobStatus.SUCCEEDED:
            return _GOOD
        if status is JobStatus.SKIPPED:
            return _FAILED if result.reason in _COUNTS_AS_FAILED else _SKIPPED
        if status is JobStatus.FAILED:
            if self._graph.nodes[job].allow_failure:
                return _ALLOWED
            self._failed.append(job)
            self._failing = self._failing or self._graph.fail_fast
        return _FAILED

    def _close(self, job: int) -> None:
        self._state[job] = _DONE
        self._left -= 1

    def _reopen(self, job: int, record: JobRecord) -> None:
        self._live[job] = None
        self._attempts[job] = record.attempt
        if record.status is JobStatus.PAUSED:
            self._state[job] = _PARKED
        elif record.status is JobStatus.QUEUED and record.wake_at is not None:
            self._state[job] = _WAITING
        else:
            interrupted = record.status is JobStatus.RUNNING
            self._attempts[job] += 1 if interrupted else 0
            self._state[job] = _READY
            self._ready.append(job)

    def _settle(self, ended: list[tuple[int, int]], actions: list[Action]) -> None:
        """Count the ends at the jobs that need them; those become ready, or are skipped, which settles more."""
        nodes, waiting = self._graph.nodes, self._waiting
        while ended:
            job, kind = ended.pop()
            for dependent in nodes[job].dependents:
                if kind != _GOOD:
                    self._tally.setdefault(dependent, [0, 0, 0, 0])[kind] += 1
                waiting[dependent] -= 1
                if waiting[dependent] or self._state[dependent] != _PENDING:
                    continue
                reason = self._refusal(dependent)
                if reason is None:
                    self._state[dependent] = _READY
                    self._ready.append(dependent)
                else:
                    self._skip(dependent, reason, actions)
                    ended.append((dependent, _FAILED if reason in _COUNTS_AS_FAILED else _SKIPPED))

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
            up = Upstream(len(node.needs) - sum(tally), tally[_FAILED], tally[_SKIPPED], tally[_ALLOWED])
        if RULES[node.run_if](up):
            return None
        return SkipReason.UPSTREAM_FAILED if node.wants_success and up.failed else SkipReason.RULE_NOT_MET

    def _skip(self, job: int, reason: SkipReason, actions: list[Action]) -> None:
        self._close(job)
        actions.append(SkipJob(job, reason))

    def _cancel_live(self, actions: list[Action], *, all_of_them: bool) -> None:
        nodes = self._graph.nodes
        actions.extend(
            CancelJob(job)
            for job in self._live
            if self._state[job] != _READY and (all_of_them or nodes[job].wants_success)
        )

    def _advance(self, actions: list[Action]) -> list[Action]:
        """Fill the free slots from the ready jobs, in order, and end the run when nothing is left."""
        ready = self._ready
        while self._head < len(ready) and (self._running < self._slots or self._stop is not None or self._failing):
            job = ready[self._head]
            self._head += 1
            self._live.pop(job, None)
            if self._stop is not None or (self._failing and self._graph.nodes[job].wants_success):
                reason = SkipReason.FAIL_FAST if self._stop is None else SkipReason.RUN_STOPPED
                self._skip(job, reason, actions)
                self._settle([(job, _FAILED if reason in _COUNTS_AS_FAILED else _SKIPPED)], actions)
                continue
            if self._running >= self._slots:
                self._head -= 1
                break
            self._state[job] = _RUNNING
            self._live[job] = None
            self._running += 1
            actions.append(StartJob(job, self._attempts.get(job, 1)))
        if self._head == len(ready):
            ready.clear()
            self._head = 0
        if self._left == 0:
            self._left = -1  # a run ends once
            actions.append(self._end())
        return actions

    def _end(self) -> EndRun:
        if self._stop is not None:
            return EndRun(self._stop[0], tuple(self._failed), self._stop[1])
        if self._failed:
            return EndRun(RunStatus.FAILED, tuple(self._failed), "job_failed")
        return EndRun(RunStatus.SUCCEEDED)


def _result_of(record: JobRecord) -> Result:
    """Return the result that a final record stands for; a skip's reason is the code of its error."""
    if record.status is not JobStatus.SKIPPED or record.error is None:
        return Result(record.status)
    try:
        code = msgspec.json.decode(record.error, type=_Reason).code
    except msgspec.MsgspecError:
        code = None
    return Result(record.status, reason=code)
