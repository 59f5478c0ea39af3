"""What `${…}`, `if` and jobs see of a run: decoded on first use, and not at all where nobody looks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from workflow_scheduler.core.dag.graph import Graph
from workflow_scheduler.core.model.run import JobRecord
from workflow_scheduler.core.ports.engine import Task
from workflow_scheduler.core.time.clock import to_iso

_decode = msgspec.json.decode


class Scope:
    """The variables of one run: `input event jobs steps env run`.

    `jobs.NAME` is `{status, attempt, output, error}` for every job that has ended, with `count` for a repeated one.
    `run` is `{id, workflow, workflow_id, version, trigger_type, scheduled_for, started_at, url}`.
    """

    __slots__ = ("_base", "_graph", "_jobs", "_public_url", "_records", "_started_at", "_task")

    def __init__(
        self, task: Task, started_at: int, graph: Graph, records: Mapping[int, JobRecord], public_url: str
    ) -> None:
        """Read from `task` and from `records`, which the run keeps up to date."""
        self._task = task
        self._started_at = started_at
        self._graph = graph
        self._records = records
        self._public_url = public_url
        self._base: dict[str, Any] | None = None
        self._jobs: dict[str, Any] = {}

    def variables(self, env: Mapping[str, str]) -> dict[str, Any]:
        """Return all variables, with this environment."""
        base = self._base
        if base is None:
            base = self._base = self._build()
        return {**base, "env": env}

    def ended(self, job: int) -> None:
        """Take in that a job has come to its end."""
        if self._base is not None:
            record = self._records[job]
            self._jobs[record.job_id] = self._view(job)

    def _build(self) -> dict[str, Any]:
        run = self._task.run
        size = len(self._graph.nodes)
        for job, record in self._records.items():
            if record.ended_at and job < size:
                self._jobs[record.job_id] = self._view(job)
        return {
            "input": _decode(run.input),
            "event": _decode(self._task.event),
            "jobs": self._jobs,
            "steps": self._jobs,
            "run": {
                "id": run.id,
                "workflow": run.workflow,
                "workflow_id": run.workflow_id,
                "version": run.version,
                "trigger_type": run.trigger_type,
                "scheduled_for": None if run.scheduled_for is None else to_iso(run.scheduled_for),
                "started_at": to_iso(self._started_at),
                "url": f"{self._public_url}/runs/{run.id}",
            },
        }

    def _view(self, job: int) -> dict[str, Any]:
        view = _view(self._records[job])
        if self._graph.nodes[job].repeat is not None:
            view["count"] = 0 if view["output"] is None else len(view["output"])
        return view


def _view(record: JobRecord) -> dict[str, Any]:
    return {
        "status": str(record.status),
        "attempt": record.attempt,
        "output": None if record.output is None else _decode(record.output),
        "error": None if record.error is None else _decode(record.error),
    }
