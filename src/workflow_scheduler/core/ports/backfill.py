"""How a backfill starts its runs: the times it begins, and what became of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from workflow_scheduler.core.model.backfill import Backfill
from workflow_scheduler.core.ports.store import Work
from workflow_scheduler.core.time.fire import Fire


class Begun(NamedTuple):
    """A nominal time to run, and the event of an earlier fire that this repeats, if there is one."""

    fire: Fire
    repeats: str | None


class Started(NamedTuple):
    """What became of it: the event, and the run; none where the trigger's condition is false or the time has fired."""

    fire: Fire
    event_id: str
    run_id: str | None


class StartsBackfill(Protocol):
    """Starts the runs of backfills (the backfill source)."""

    async def start(
        self,
        backfill: Backfill,
        begun: Sequence[Begun],
        guard: Callable[[], Work[bool]],
        settle: Callable[[Sequence[Started]], Work[None]],
    ) -> bool:
        """Write guard, events, decisions, runs and `settle` in one transaction; False when the guard did not hold."""
        ...
