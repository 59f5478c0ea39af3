"""What a worker keeps of the runs whose jobs come to it: graphs, events, and records that cannot change any more."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from workflow_scheduler.core.dag.graph import Graph
from workflow_scheduler.core.dag.repeat import instance_id, split_instance
from workflow_scheduler.core.errors import SchedulerError
from workflow_scheduler.core.execution.journal import Journal
from workflow_scheduler.core.execution.program import Program, Step
from workflow_scheduler.core.execution.repeated import loop_view
from workflow_scheduler.core.execution.scope import Scope
from workflow_scheduler.core.model.run import JOB_FINAL, JobRecord, Run
from workflow_scheduler.core.ports.engine import Task
from workflow_scheduler.engines.temporal.books import Books

VIEWS_MAX = 512


class RunOver(SchedulerError):
    """The run has ended or is unknown here; nothing of it is to be executed any more."""

    code = "run_over"


class View:
    """One run, as a worker sees it. `run` carries the fence that was read last."""

    def __init__(self, run: Run, graph: Graph, program: Program, event: bytes, journal: Journal) -> None:
        """Begin without records."""
        self.run = run
        self.graph = graph
        self.program = program
        self.journal = journal
        self.items: dict[str, Sequence[Any]] = {}
        self._event = event
        self._final: dict[str, JobRecord] = {}

    def step(self, job_id: str) -> Step:
        """Return the step of a job, and of an instance that of its job."""
        place = self.graph.index.get(job_id)
        if place is None:
            named = split_instance(job_id)
            place = None if named is None else self.graph.index.get(named[0])
        if place is None:
            raise RunOver(f"run {self.run.id} has no job {job_id}")
        return self.program[place]

    def before(self, index: int) -> list[str]:
        """Return the ids of all jobs that come before one, at any distance."""
        seen: dict[int, None] = {}
        waiting = list(self.graph.nodes[index].needs)
        while waiting:
            one = waiting.pop()
            if one not in seen:
                seen[one] = None
                waiting.extend(self.graph.nodes[one].needs)
        return [self.graph.nodes[one].id for one in seen]

    async def final(self, books: Books, job_ids: Iterable[str]) -> dict[str, JobRecord]:
        """Return the records of those of these jobs that have ended."""
        wanted = list(job_ids)
        missing = [job_id for job_id in wanted if job_id not in self._final]
        if missing:
            found = await books.jobs(self.run, missing)
            self._final |= {record.job_id: record for record in found if record.status in JOB_FINAL}
        return {job_id: self._final[job_id] for job_id in wanted if job_id in self._final}

    async def seen_by(self, books: Books, step: Step, started_at: int, public_url: str) -> Scope:
        """Return what a job sees of the jobs before it."""
        known = await self.final(books, self.before(step.node.index))
        records = {self.graph.index[job_id]: record for job_id, record in known.items()}
        return Scope(Task(self.run, self.graph, (), self._event), started_at, self.graph, records, public_url)

    async def instance_view(self, books: Books, job_id: str, items: Sequence[Any] | None) -> Mapping[str, Any]:
        """Return the variables that only an instance has."""
        named = split_instance(job_id)
        assert named is not None
        base, place = named
        before = None
        if place:
            earlier = instance_id(base, place - 1)
            before = (await self.final(books, [earlier])).get(earlier)
        own: dict[str, Any] = {} if items is None else {"item": items[place]}
        return {**own, "iteration": loop_view(place, None if items is None else len(items), before)}


class Views:
    """The runs seen last."""

    def __init__(self) -> None:
        """Begin with none."""
        self._known: OrderedDict[str, View] = OrderedDict()

    def get(self, run_id: str) -> View | None:
        """Return a run that is known."""
        view = self._known.get(run_id)
        if view is not None:
            self._known.move_to_end(run_id)
        return view

    def put(self, view: View) -> View:
        """Keep a run; the one that was not used for longest makes room. Of two that come at once the first stays."""
        kept = self._known.setdefault(view.run.id, view)
        while len(self._known) > VIEWS_MAX:
            self._known.popitem(last=False)
        return kept

    def forget(self, run_id: str) -> None:
        """Let go of a run that has ended."""
        self._known.pop(run_id, None)
