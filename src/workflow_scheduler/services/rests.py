"""When the pause of a schedule ends: its own, and that of its workflow (pure)."""

from __future__ import annotations

from workflow_scheduler.core.time.exclusion import FOR_EVER_US
from workflow_scheduler.stores.portable.schedules import ScheduleRow


def paused_now(row: ScheduleRow, now: int) -> bool:
    """Return whether a schedule rests at `now`: paused, or paused until a later time."""
    return row.paused or row.workflow_paused or (row.paused_until is not None and now < row.paused_until)


def paused_itself(row: ScheduleRow) -> bool:
    """Return whether somebody paused the schedule, not its workflow, without an end."""
    return row.paused and not row.rests_with_workflow


def pause_end(row: ScheduleRow) -> int | None:
    """Return when a pause ends by itself, microseconds, whether it has passed or not; None where it has no end."""
    ends = [row.workflow_paused_until] if row.workflow_paused else []
    if row.paused_until is not None:
        ends.append(row.paused_until)
    if paused_itself(row) or None in ends:
        return None
    return max((end for end in ends if end is not None), default=None)


def rest_end(row: ScheduleRow) -> int:
    """Return the instant before which times do not fire because of a pause; before all times where there is none."""
    end = pause_end(row)
    if end is None and (row.paused or row.workflow_paused):
        return FOR_EVER_US
    return max(end or 0, 0 if row.resume_until is None else row.resume_until + 1)


def ends_by_itself(row: ScheduleRow) -> bool:
    """Return whether nobody has to end the pause that the schedule is in."""
    return not paused_itself(row) and (
        row.paused_until is not None or (row.workflow_paused and row.workflow_paused_until is not None)
    )
