"""The repeated jobs of one run: finding out their items, what their instances see, and gathering their outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from workflow_scheduler.core.dag.actions import Action, AskLoop, DelayJob, GatherJob, SkipReason
from workflow_scheduler.core.dag.repeat import instance_id, split_instance
from workflow_scheduler.core.execution.failure import Failure
from workflow_scheduler.core.execution.program import Step, judge
from workflow_scheduler.core.execution.repeated import exhausted, gathered, holds, instances_failed, items_of, loop_view
from workflow_scheduler.core.model.run import JOB_FINAL, JobRecord, JobStatus

if TYPE_CHECKING:
    from workflow_scheduler.engines.embedded.execution import Execution


class _Repeated(msgspec.Struct):
    """A repeated job under way. `items` is None for a `while`; `ended` are its instances' records by place."""

    items: Sequence[Any] | None
    ended: dict[int, JobRecord] = {}
    last: int | None = None  # the number of the instance that ended last in this process


class Repeating:
    """What is known of the repeated jobs; all that is durable about them stands in the records of their instances."""

    __slots__ = ("_execution", "_found", "_jobs")

    def __init__(self, execution: Execution) -> None:
        """Serve one run."""
        self._execution = execution
        self._jobs: dict[int, _Repeated] = {}
        self._found: dict[str, list[tuple[int, JobRecord]]] = {}

    def restore(self, record: JobRecord) -> None:
        """Keep the record of an instance until its job is expanded again."""
        named = split_instance(record.job_id)
        if named is not None:
            self._found.setdefault(named[0], []).append((named[1], record))

    def expand(self, step: Step, job: int) -> list[Action]:
        """Find out the items of a job, and begin its instances."""
        run, node = self._execution, step.node
        before = run.ledger.records.get(job)
        started_at = run.desk.clock.now() if before is None or before.started_at is None else before.started_at
        refusal = step.problem or judge(step, run.variables)
        if isinstance(refusal, SkipReason):
            return run.skipped(job, refusal)
        if isinstance(refusal, Failure):
            return run.failed(job, 1, started_at, refusal)
        assert node.repeat is not None
        items = items_of(node.id, node.repeat, run.variables({}), run.desk.limits.instances_max)
        if isinstance(items, Failure):
            return run.failed(job, 1, started_at, items)
        self._jobs[job] = _Repeated(items, {})
        run.ledger.put(job, JobStatus.RUNNING, 1, started_at=started_at)
        return self._begin(job, node.id, None if items is None else len(items))

    def _begin(self, job: int, job_id: str, total: int | None) -> list[Action]:
        """Let the planner open the instances; those that an earlier process has begun wait on as they were."""
        run, state = self._execution, self._jobs[job]
        open_before: dict[int, JobRecord] = {}
        for place, record in self._found.pop(job_id, ()):
            if record.status in JOB_FINAL:
                state.ended[place] = record
            else:
                open_before[place] = record
        actions = run.progress.expand(job, total)
        for number in run.progress.open_instances(job) if open_before else ():
            place = self._place(number)
            if place in open_before:
                record = open_before[place]
                self.name(number)
                run.ledger.records[number] = msgspec.structs.replace(record, fence=run.run.fence)
                run.parking.restore(number, record)
        return actions

    def _place(self, number: int) -> int:
        known = self._execution.progress.instance(number)
        assert known is not None
        return known[1]

    def name(self, number: int) -> None:
        """Give an instance its id, if it has none yet."""
        run = self._execution
        if not run.ledger.has_name(number):
            known = run.progress.instance(number)
            assert known is not None
            run.ledger.give_name(number, instance_id(run.job_id(known[0]), known[1]))

    # What instances see

    def variables(self, number: int, env: Mapping[str, str]) -> dict[str, Any]:
        """Return what `${…}` sees in an instance: as in a job, with `item` and `iteration`."""
        job, place = self._known(number)
        state = self._jobs[job]
        own: dict[str, Any] = {} if state.items is None else {"item": state.items[place]}
        return {**self._execution.variables(env), **own, "iteration": self._loop(state, place)}

    def _known(self, number: int) -> tuple[int, int]:
        known = self._execution.progress.instance(number)
        assert known is not None
        return known

    def _loop(self, state: _Repeated, place: int) -> dict[str, Any]:
        return loop_view(place, self._total(state), state.ended.get(place - 1))

    def before(self, number: int) -> tuple[int, ...]:
        """Return the instances whose end must be on disk before this one starts: of a loop the one before it."""
        job, _ = self._known(number)
        last = self._jobs[job].last
        return () if last is None or self._execution.step(job).node.repeat.kind == "map" else (last,)  # type: ignore[union-attr]

    # What follows

    def ended(self, number: int, record: JobRecord) -> None:
        """Keep the end of an instance."""
        job, place = self._known(number)
        state = self._jobs[job]
        state.ended[place] = record
        state.last = number

    def delay(self, action: DelayJob) -> None:
        """Let an iteration wait for its turn."""
        self.name(action.job)
        run = self._execution
        wake_at = run.desk.clock.now() + action.delay_us
        run.ledger.put(action.job, JobStatus.QUEUED, 1, wake_at=wake_at)
        run.parking.wake_at(action.job, wake_at)

    def ask(self, action: AskLoop) -> list[Action]:
        """Judge the `while` of a loop before an iteration."""
        run, job = self._execution, action.job
        repeat = run.step(job).node.repeat
        assert repeat is not None
        known = {**run.variables({}), "iteration": self._loop(self._jobs[job], action.place)}
        more = holds(repeat, known, action.place)
        return self._end(job, more) if isinstance(more, Failure) else run.progress.answer(job, more=more)

    def gather(self, action: GatherJob) -> list[Action]:
        """Put the outputs of all instances together, in order, null where there is none; that ends the job."""
        run, job = self._execution, action.job
        record = run.ledger.records[job]
        if action.status is JobStatus.SUCCEEDED:
            output = self._output(job)
            if isinstance(output, Failure):
                return run.failed(job, 1, record.started_at, output)
            return run.succeeded(job, 1, record.started_at, output)
        if action.status is JobStatus.CANCELLED:
            return run.cancelled(job, 1, record.started_at)
        node = run.step(job).node
        if action.exhausted:
            return self._end(job, exhausted(node))
        state = self._jobs[job]
        return self._end(job, instances_failed(node.id, state.ended, self._total(state)))

    def _end(self, job: int, why: Failure) -> list[Action]:
        """End a job as failed, with the outputs that there are."""
        run = self._execution
        output = self._output(job)
        kept = None if isinstance(output, Failure) else output
        return run.failed(job, 1, run.ledger.records[job].started_at, why, kept)

    def _output(self, job: int) -> bytes | Failure:
        state = self._jobs[job]
        return gathered(state.ended, self._total(state), self._execution.desk.limits.output_bytes_max)

    def _total(self, state: _Repeated) -> int | None:
        return None if state.items is None else len(state.items)
