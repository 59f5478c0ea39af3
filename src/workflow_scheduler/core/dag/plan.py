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

**Repeated jobs** (`core.dag.repeat`) hold no slot themselves. `StartJob` asks for their items; `expand` opens their
instances, which go through the states above as jobs do, each with its own attempts, as many at once as the job allows.
When the last one has ended, `GatherJob` asks for the job's result. A `while` loop is asked about (`AskLoop`) before
each iteration. After a crash the job is expanded again, and meets the records of its instances.
"""

from __future__ import annotations

from collections.abc import Iterable
from zlib import crc32

from workflow_scheduler.core.dag.actions import (
    COUNTS_AS_FAILED,
    Action,
    CancelJob,
    DelayJob,
    Result,
    RetryJob,
    SkipReason,
    StartJob,
)
from workflow_scheduler.core.dag.conditions import FAILED, SKIPPED
from workflow_scheduler.core.dag.graph import Graph, Node
from workflow_scheduler.core.dag.groups import Group, Groups
from workflow_scheduler.core.dag.repeat import split_instance
from workflow_scheduler.core.dag.settling import (
    DONE,
    OPEN,
    PARKED,
    PENDING,
    READY,
    RUNNING,
    WAITING,
    Settling,
    result_of,
)
from workflow_scheduler.core.model.run import JOB_FINAL, JobRecord, JobStatus, RunStatus

_NO_GROUPS = Groups(0)


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


class Progress(Settling):
    """How far one run of `graph` has come. `seed` is the run's id; it only feeds the jitter."""

    __slots__ = ("_attempts", "_groups", "_head", "_live", "_running", "_seed", "_size", "_slots")

    def __init__(self, graph: Graph, *, seed: str = "", max_parallel: int | None = None) -> None:
        """Begin with every job pending."""
        super().__init__(graph)
        self._seed = seed
        self._slots = max_parallel or graph.max_parallel
        self._size = len(graph.nodes)
        self._groups = Groups(self._size) if graph.repeats else _NO_GROUPS
        self._attempts: dict[int, int] = {}
        self._head = 0
        self._live: dict[int, None] = {}
        self._running = 0

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
                self._find(record)
                continue
            known.add(job)
            if record.status in JOB_FINAL:
                ended.append((job, self._kind(job, result_of(record))))
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
        if state == DONE or state <= READY:
            return []
        if state == RUNNING:
            self._running -= 1
        if result.status is JobStatus.PAUSED:
            self._state[job] = PARKED
            return self._advance([])
        retry = self._retry(job, result)
        if retry is not None:
            self._state[job] = WAITING
            self._attempts[job] = retry.attempt
            return self._advance([retry])
        del self._live[job]
        if job >= self._size:
            return self._instance_ended(job, result)
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
        """Say that the delay of a `RetryJob` or a `DelayJob` has passed, or that a job which yielded may start."""
        if self._state[job] != WAITING:
            return []
        self._state[job] = READY
        del self._live[job]
        self._ready.append(job)
        return self._advance([])

    def yield_place(self, job: int) -> list[Action]:
        """Say that a job which was to start waits for something first, without a slot; `wake` lets it start."""
        if self._state[job] != RUNNING:
            return []
        self._state[job] = WAITING
        self._running -= 1
        return self._advance([])

    def interrupted(self, job: int) -> int:
        """Count an attempt whose process is gone, and return the number of the one that replaces it (see the module).

        The job stays running: the engine starts that attempt at once.
        """
        self._attempts[job] = self._attempts.get(job, 1) + 1
        return self._attempts[job]

    def stop(self, status: RunStatus, code: str) -> list[Action]:
        """Cancel what is under way, start nothing more, and end the run with `status` (CANCELLED or FAILED)."""
        if self._stop is not None:
            return []
        self._stop = (status, code)
        actions: list[Action] = []
        self._cancel_live(actions, all_of_them=True)
        return self._advance(actions)

    def node(self, job: int) -> Node:
        """Return the node of a job, and of an instance that of its job."""
        return self._graph.nodes[job if job < self._size else self._groups.of(job)[0]]

    def instance(self, number: int) -> tuple[int, int] | None:
        """Return the job of an instance and its place; None for a job."""
        return None if number < self._size else self._groups.of(number)

    # Repeated jobs

    def expand(self, job: int, total: int | None) -> list[Action]:
        """Say how many instances a repeated job has, None for a `while` loop; they begin, or go on after a crash."""
        node = self._graph.nodes[job]
        repeat = node.repeat
        if self._state[job] != OPEN or repeat is None or job in self._groups.by_job:
            return []
        group = Group(job, repeat, repeat.width or self._slots, total or 0, total is not None)
        self._groups.by_job[job] = group
        actions: list[Action] = []
        for place, record in self._groups.found.pop(job, ()):
            group.know(place)
            if record.status not in JOB_FINAL:
                self._reopen(self._open(group, place), record)
            elif record.status is JobStatus.FAILED:
                group.failed += 1
        if self._stop is not None or (self._failing and node.wants_success):
            return self.halt(job)
        if group.failed and self._fails_fast(group):
            self._halt(group, actions)
        self._go_on(group, actions)
        return self._advance(actions)

    def answer(self, job: int, *, more: bool) -> list[Action]:
        """Say whether the `while` of a loop holds; beyond `max_iterations` that fails the job."""
        group = self._groups.by_job[job]
        group.answer(more=more)
        actions: list[Action] = []
        self._go_on(group, actions)
        return self._advance(actions)

    def halt(self, job: int) -> list[Action]:
        """Cancel a repeated job: its open instances are cancelled, no more are opened, then it ends CANCELLED."""
        group = self._groups.by_job.get(job)
        if group is None or self._state[job] != OPEN or group.gathered:
            return []
        group.cancelled = True
        actions: list[Action] = []
        self._halt(group, actions)
        self._go_on(group, actions)
        return self._advance(actions)

    @property
    def rests(self) -> bool:
        """Whether every job under way waits or is parked, so that nothing happens until one of them is woken."""
        return self._running == 0 and self._head == len(self._ready) and self._left > 0 and self._stop is None

    def is_expanded(self, job: int) -> bool:
        """Return whether a repeated job has been expanded."""
        return job in self._groups.by_job

    def open_instances(self, job: int) -> tuple[int, ...]:
        """Return the numbers of the instances of an expanded job that have not ended."""
        return tuple(self._groups.by_job[job].open)

    def _find(self, record: JobRecord) -> None:
        """Keep the record of an instance for the moment when its job is expanded."""
        named = split_instance(record.job_id)
        job = None if named is None else self._graph.index.get(named[0])
        if named is not None and job is not None and self._graph.nodes[job].repeat is not None:
            self._groups.found.setdefault(job, []).append((named[1], record))

    def _open(self, group: Group, place: int) -> int:
        number = self._groups.add(group, place)
        self._state.append(PENDING)
        return number

    def _go_on(self, group: Group, actions: list[Action]) -> None:
        """Open what comes next in a repeated job, ask about it, or gather what there is."""
        for place in group.places():
            number = self._open(group, place)
            if place and group.repeat.delay_us:
                self._state[number] = WAITING
                self._live[number] = None
                actions.append(DelayJob(number, group.repeat.delay_us))
            else:
                self._state[number] = READY
                self._ready.append(number)
        following = group.following()
        if following is not None:
            actions.append(following)

    def _instance_ended(self, number: int, result: Result) -> list[Action]:
        group = self._groups.by_job[self._groups.of(number)[0]]
        self._state[number] = DONE
        self._attempts.pop(number, None)
        del group.open[number]
        actions: list[Action] = []
        if result.status is JobStatus.FAILED:
            group.failed += 1
            if not group.halted and self._fails_fast(group):
                self._halt(group, actions)
        self._go_on(group, actions)
        return self._advance(actions)

    def _fails_fast(self, group: Group) -> bool:
        node = self._graph.nodes[group.job]
        return group.repeat.fail_fast or (self._graph.fail_fast and not node.allow_failure)

    def _halt(self, group: Group, actions: list[Action]) -> None:
        if group.halted:
            return
        group.halted = True
        for number in group.open:
            if self._state[number] == READY:
                self._state[number] = WAITING  # so that its end is taken in; the queue passes over it
            self._live[number] = None
            actions.append(CancelJob(number))

    # Ends

    def _retry(self, job: int, result: Result) -> RetryJob | None:
        if result.status is not JobStatus.FAILED or self._stop is not None or self._state[job] == OPEN:
            return None
        node = self.node(job)
        if job >= self._size and self._groups.by_job[node.index].halted:
            return None
        attempt = self._attempts.get(job, 1)
        wanted = result.code in node.retry.on if node.retry.on else result.retryable
        if attempt >= node.retry.attempts or not wanted or (self._failing and node.wants_success):
            return None
        # Instances of one job that fail together are not to come back together.
        seed = self._seed if job < self._size else f"{self._seed}:{self._groups.of(job)[1]}"
        delay = max(retry_delay_us(node, attempt, seed), result.retry_after_us)
        return RetryJob(job, attempt + 1, delay)

    def _reopen(self, job: int, record: JobRecord) -> None:
        self._live[job] = None
        self._attempts[job] = record.attempt
        if record.status is JobStatus.PAUSED:
            self._state[job] = PARKED
        elif record.status is JobStatus.QUEUED and record.wake_at is not None:
            self._state[job] = WAITING
        else:
            is_repeated = job < self._size and self._graph.nodes[job].repeat is not None
            interrupted = record.status is JobStatus.RUNNING and not is_repeated
            self._attempts[job] += 1 if interrupted else 0
            self._state[job] = READY
            self._ready.append(job)

    def _cancel_live(self, actions: list[Action], *, all_of_them: bool) -> None:
        nodes, size = self._graph.nodes, self._size
        actions.extend(
            CancelJob(job)
            for job in self._live
            if job < size and self._state[job] != READY and (all_of_them or nodes[job].wants_success)
        )

    def _advance(self, actions: list[Action]) -> list[Action]:
        """Fill the free slots from the ready jobs, in order, and end the run when nothing is left."""
        ready = self._ready
        while self._head < len(ready) and (self._running < self._slots or self._stop is not None or self._failing):
            job = ready[self._head]
            self._head += 1
            if self._state[job] > READY:
                continue  # an instance of a job that was halted meanwhile
            is_repeated = job < self._size and self._graph.nodes[job].repeat is not None
            if self._must_not_start(job) and not (is_repeated and job in self._groups.found):
                self._live.pop(job, None)
                self._drop(job, actions)
                continue
            if self._running >= self._slots and not is_repeated:
                self._head -= 1
                break
            self._live[job] = None
            if is_repeated:
                self._state[job] = OPEN
            else:
                self._state[job] = RUNNING
                self._running += 1
            actions.append(StartJob(job, self._attempts.get(job, 1)))
        if self._head == len(ready):
            ready.clear()
            self._head = 0
        if self._left == 0:
            self._left = -1  # a run ends once
            actions.append(self._end())
        return actions

    def _must_not_start(self, job: int) -> bool:
        return self._stop is not None or (self._failing and self.node(job).wants_success)

    def _drop(self, job: int, actions: list[Action]) -> None:
        """Let a ready job end without being run."""
        if job >= self._size:
            self._state[job] = WAITING  # its group is being halted, which cancels it
            return
        reason = SkipReason.FAIL_FAST if self._stop is None else SkipReason.RUN_STOPPED
        self._skip(job, reason, actions)
        self._settle([(job, FAILED if reason in COUNTS_AS_FAILED else SKIPPED)], actions)
