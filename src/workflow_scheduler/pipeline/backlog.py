"""Runs that wait for a place in their workflow: some in memory, the others in their rows.

Those in memory go in the order of their priority, and in the order they came where that is the same.

Memory holds at most BACKLOG_RUNS_MAX tasks over all workflows. Once a run of a workflow had to be left in its row,
all later ones of that workflow are left there as well, so that none overtakes it, until the rows have been read again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from typing import TypeAlias

from workflow_scheduler.core.model.run import Run
from workflow_scheduler.core.ports.engine import Task

BACKLOG_RUNS_MAX = 20_000
Key: TypeAlias = tuple[str, str]
_NONE_LEFT = "\x7f"  # greater than every id


class Backlog:
    """The waiting runs by (tenant, workflow)."""

    def __init__(self, runs_max: int = BACKLOG_RUNS_MAX) -> None:
        """Keep at most `runs_max` tasks in memory, and the ids of as many that were taken from their rows lately."""
        self._runs_max = runs_max
        self._queues: dict[Key, dict[int, deque[Task]]] = {}
        self._ids: set[str] = set()
        self._left: dict[Key, str] = {}
        self._reading: dict[Key, set[str]] = {}
        self._taken: dict[tuple[str, int], None] = {}

    def __len__(self) -> int:
        """Return how many tasks are in memory."""
        return len(self._ids)

    def __contains__(self, run_id: str) -> bool:
        """Return whether the task of a run is in memory."""
        return run_id in self._ids

    @property
    def is_full(self) -> bool:
        """Whether no more tasks fit into memory."""
        return len(self._ids) >= self._runs_max

    def has_left(self, key: Key) -> bool:
        """Return whether runs of the workflow wait in their rows."""
        return key in self._left

    def is_reading(self, key: Key) -> bool:
        """Return whether the rows of the workflow are being read."""
        return key in self._reading

    def leave(self, run: Run) -> None:
        """Remember that a run waits in its row."""
        key = (run.tenant_id, run.workflow_id)
        self._left[key] = min(self._left.get(key, _NONE_LEFT), run.id)

    def put(self, key: Key, task: Task, *, again: bool = False) -> None:
        """Let a task wait at the end of its workflow; `again`: it comes from its row, and is the first of those."""
        if self.is_full or (key in self._left and not again):
            self.leave(task.run)
            return
        self._ids.add(task.run.id)
        self._queues.setdefault(key, {}).setdefault(task.run.priority, deque()).append(task)

    def pop(self, key: Key) -> Task | None:
        """Return the task of the highest priority of the workflow that has waited longest in memory."""
        lanes = self._queues.get(key)
        if not lanes:
            return None
        highest = max(lanes)
        task = lanes[highest].popleft()
        self._ids.discard(task.run.id)
        self._drop_empty(key, highest)
        return task

    def _drop_empty(self, key: Key, priority: int) -> None:
        lanes = self._queues[key]
        if not lanes[priority]:
            del lanes[priority]
        if not lanes:
            del self._queues[key]

    def _tasks(self) -> Iterator[Task]:
        return (task for lanes in self._queues.values() for queue in lanes.values() for task in queue)

    def remove(self, run: Run) -> bool:
        """Take a run out; return whether it waited here, in memory or in its row."""
        key = (run.tenant_id, run.workflow_id)
        if run.id in self._ids:
            queue = self._queues[key][run.priority]
            queue.remove(next(task for task in queue if task.run.id == run.id))
            self._ids.discard(run.id)
            self._drop_empty(key, run.priority)
            return True
        if key in self._reading:
            self._reading[key].add(run.id)
        return key in self._left

    def fences(self) -> dict[str, int]:
        """Return the fence of every task in memory, by its run's id."""
        return {task.run.id: task.run.fence for task in self._tasks()}

    def forget(self, run_ids: Collection[str]) -> None:
        """Let go of tasks whose runs belong to other instances now."""
        gone = self._ids.intersection(run_ids)
        if not gone:
            return
        self._ids -= gone
        for key, lanes in list(self._queues.items()):
            for priority, queue in list(lanes.items()):
                lanes[priority] = deque(task for task in queue if task.run.id not in gone)
                self._drop_empty(key, priority)

    def note_taken(self, run: Run) -> None:
        """Remember that a run was taken from its row: whoever still has it in hand must not start it as well."""
        self._taken[run.id, run.fence] = None
        if len(self._taken) > self._runs_max:
            del self._taken[next(iter(self._taken))]

    def was_taken(self, run: Run) -> bool:
        """Return whether a run was lately taken from its row."""
        return (run.id, run.fence) in self._taken

    def begin_reading(self, key: Key) -> str:
        """Return the id from which on rows of the workflow are to be read; runs that are left meanwhile come later."""
        self._reading[key] = set()
        first = self._left[key]
        self._left[key] = _NONE_LEFT
        return first

    def was_removed(self, key: Key, run_id: str) -> bool:
        """Return whether a run was taken out since the reading of its workflow's rows began."""
        return run_id in self._reading[key]

    def end_reading(self, key: Key, more_from: str | None) -> None:
        """Note that the rows have been read: to their end, or up to the id `more_from`."""
        del self._reading[key]
        following = min(self._left[key], more_from or _NONE_LEFT)
        if following == _NONE_LEFT:
            del self._left[key]
        else:
            self._left[key] = following
