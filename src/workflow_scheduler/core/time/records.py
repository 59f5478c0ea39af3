"""The records of a schedule's times: what became of each, made in one place for whoever settles them."""

from __future__ import annotations

from typing import NamedTuple

from workflow_scheduler.core.model.trigger import Occurrence
from workflow_scheduler.core.reasons import Outcome, Reason
from workflow_scheduler.core.time.clock import to_iso
from workflow_scheduler.core.time.due import Settlement
from workflow_scheduler.core.time.fire import Fire
from workflow_scheduler.core.time.overdue import Stretch
from workflow_scheduler.core.time.timer import Timer
from workflow_scheduler.core.time.zone import tzdata_version

STRETCH_NOTE = " fires until "
"""Stands between the count and the last nominal time in the note of a record that speaks for several times."""


def stretch_note(stretch: Stretch) -> str:
    """Return the note of a record that speaks for a stretch: `96 fires until 2027-12-25T23:45:00Z; Christmas Day`."""
    why = f"; {stretch.note}" if stretch.note else ""
    return f"{stretch.count}{STRETCH_NOTE}{to_iso(stretch.last)}{why}"


class Recorder(NamedTuple):
    """Writes down at `now` (microseconds) what became of the times of one schedule of a tenant."""

    tenant_id: str
    timer: Timer
    now: int

    def fired(self, fire: Fire, outcome: str, reason: str, run_id: str | None, event_id: str) -> Occurrence:
        """Return the record of a time that became an event, and a run where `run_id` names one."""
        return self._record(fire, outcome, reason, fire.note, (run_id, event_id))

    def unfired(self, settlement: Settlement) -> list[Occurrence]:
        """Return the records of the times of `settlement` that start no run."""
        found = [self.left_out(one.fire, one.outcome, one.reason) for one in settlement.outcomes]
        return found + [self.stretch(one) for one in settlement.stretches]

    def left_out(self, fire: Fire, outcome: Outcome, reason: Reason) -> Occurrence:
        """Return the record of one time that starts no run."""
        return self._record(fire, outcome, reason, fire.note)

    def stretch(self, stretch: Stretch) -> Occurrence:
        """Return the one record of many times that start no run."""
        return self._record(self.timer.at(stretch.first), stretch.outcome, stretch.reason, stretch_note(stretch))

    def _record(
        self, fire: Fire, outcome: str, reason: str, note: str | None, ids: tuple[str | None, str | None] = (None, None)
    ) -> Occurrence:
        return Occurrence(
            tenant_id=self.tenant_id,
            trigger_id=self.timer.trigger_id,
            nominal=fire.utc,
            nominal_local=fire.local,
            timezone=self.timer.type.timezone(self.timer.config),
            fold=fire.fold,
            tzdata=tzdata_version(),
            outcome=outcome,
            reason=reason,
            note=note,
            run_id=ids[0],
            event_id=ids[1],
            recorded_at=self.now,
        )
