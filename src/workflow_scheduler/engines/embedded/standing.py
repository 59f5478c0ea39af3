"""Where one run stands: its time-out, what is announced of it, and when it may leave the process (core/dag/park.py)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from workflow_scheduler.core.dag.park import REST_US
from workflow_scheduler.core.execution import ending
from workflow_scheduler.core.model.run import PARKED, RunChange, RunStatus
from workflow_scheduler.core.ports.engine import Task
from workflow_scheduler.core.time.clock import SECOND_US
from workflow_scheduler.engines.embedded.timers import Timer

if TYPE_CHECKING:
    from workflow_scheduler.engines.embedded.execution import Execution

LINGER_SECONDS: Final = 5.0  # most named things are there soon; a run that left for each would only come and go


class Standing:
    """Kept beside the run, without knowing it, so that both go together."""

    __slots__ = ("_announced", "_deadline", "_linger", "_ripe", "_stays", "_timer", "started_at")

    def __init__(self, task: Task, now: int) -> None:
        """Begin at `now` (microseconds), or go on from when the run was started."""
        timeout_us = task.graph.timeout_us
        self.started_at = task.run.started_at or now
        # Its place among the runs that its workflow may have at once is counted in this process.
        self._stays = task.run.backfill_id is None and task.graph.definition.concurrency.max_runs is not None
        self._deadline = None if timeout_us is None else self.started_at + timeout_us
        self._announced: RunStatus | None = None
        self._timer: Timer | None = None
        self._linger: Timer | None = None
        self._ripe = False

    def begin(self, run: Execution, call: Callable[[], None]) -> bool:
        """Have `call` called when the run has used up its time; return whether it has already."""
        if self._deadline is None:
            return False
        left = (self._deadline - run.desk.clock.now()) / SECOND_US
        self._timer = run.desk.timers.after(left, call)
        return left <= 0

    def disarm(self) -> None:
        """Forget the timers."""
        for timer in (self._timer, self._linger):
            if timer is not None:
                timer.cancel()

    def tell(self, run: Execution, changes: list[RunChange]) -> bool:
        """Add what is new about the run; return whether it leaves this process with that and does nothing more here."""
        wake_at = self._next_at(run) if run.rests else None
        is_far = run.rests and (wake_at is None or wake_at - run.desk.clock.now() > REST_US)
        resting = is_far or (run.rests and run.parking.named)
        leaves = is_far and self._may_leave(run)
        status = RunStatus.PAUSED if resting else RunStatus.RUNNING
        if status is not self._announced or leaves:
            self._announced = status
            changes.append(
                replace(
                    ending.standing(run.run, self.started_at, status),
                    owner=PARKED if leaves else None,
                    wake_at=wake_at if leaves else None,
                )
            )
        if leaves:
            run.abandon()
        return leaves

    def times(self, run: Execution) -> tuple[int, int]:
        """Return when the run was started, and now."""
        return self.started_at, run.desk.clock.now()

    def _next_at(self, run: Execution) -> int | None:
        """Return when something is due at the run next; None when nothing ever is by itself."""
        times = [at for at in (run.parking.next_at(), self._deadline) if at is not None]
        return min(times, default=None)

    def _may_leave(self, run: Execution) -> bool:
        if not run.desk.parks or self._stays or not run.parking.settled:
            return False
        if not run.parking.named or self._ripe:
            return True
        if self._linger is None:
            self._linger = run.desk.timers.after(LINGER_SECONDS, partial(self._ripen, run))
        return False

    def _ripen(self, run: Execution) -> None:
        self._ripe = True
        run.desk.mark(run)

    def landed(self, run: Execution) -> None:
        """Look once more where the run may have become ripe while it was on its way to the store."""
        if self._ripe:
            run.desk.mark(run)
