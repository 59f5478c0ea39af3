"""Rests: stretches of time in which a schedule was kept from firing, and what becomes of the times that passed."""

from __future__ import annotations

from typing import Any, NamedTuple

from workflow_scheduler.core.model.trigger import Schedule
from workflow_scheduler.core.time.due import Settlement, resume, settle
from workflow_scheduler.core.time.late import Catchup
from workflow_scheduler.core.time.timer import Timer

_NEVER = -1


class Rest(NamedTuple):
    """The times up to `until` (an instant in microseconds, inclusive) did not fire; `missed` says what runs of them."""

    until: int
    missed: Catchup


def on_resume(module: Any, config: Any, *, by_itself: bool = False) -> Catchup:
    """Return what a schedule says should run of the times that passed during a pause.

    A one-time schedule whose pause ends `by_itself` is late, not lost, unless it says otherwise.
    """
    said: Catchup | None = getattr(config, "on_resume", None)
    if said is not None:
        return said
    return "latest" if by_itself and not getattr(module, "recurring", True) else "none"


def rest_of(module: Any, config: Any, schedule: Schedule) -> Rest:
    """Return the rest whose times a live due row may still have to settle."""
    if schedule.resume_until is not None and schedule.resume_as is not None:
        return Rest(schedule.resume_until, schedule.resume_as)
    if schedule.paused_until is not None:
        return Rest(schedule.paused_until - 1, on_resume(module, config, by_itself=True))
    return Rest(_NEVER, "none")


def settle_row(module: Any, config: Any, schedule: Schedule, now: int) -> Settlement:
    """Decide what becomes of a due row at `now`: the times of a rest first, on their own, then the others.

    The row is due again at once where times later than the rest are due as well.
    """
    assert schedule.next_nominal is not None
    nominal = schedule.next_nominal
    rest = rest_of(module, config, schedule)
    if nominal <= min(now, rest.until):
        timer = Timer(module, config, schedule.trigger_id, schedule.anchor)
        return resume(timer, nominal, min(now, rest.until), rest.missed)
    return settle(module, config, schedule.trigger_id, schedule.anchor, nominal, now)
