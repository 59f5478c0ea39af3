"""Pausing one schedule, and ending its pause: who, why, until when, and what becomes of the times that pass.

While a schedule rests, its row keeps the first time that was not settled. The end of a pause is one small write: the
row is live again and says by which rule the times of the pause are settled. The timer does that, each portion with its
runs and records in one transaction; a crash in between leaves it to whoever runs the timer next.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any, Protocol

import msgspec

from workflow_scheduler.core.errors import Conflict, FieldError, ValidationFailed
from workflow_scheduler.core.model.principal import Principal
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.core.time.clock import Clock, to_iso
from workflow_scheduler.core.time.due import next_due
from workflow_scheduler.core.time.late import Catchup, policy_of
from workflow_scheduler.core.time.rest import on_resume
from workflow_scheduler.core.time.timer import Timer
from workflow_scheduler.services.rests import paused_now
from workflow_scheduler.stores.portable.calendar_book import CalendarBook
from workflow_scheduler.stores.portable.occurrences import OccurrenceRepository
from workflow_scheduler.stores.portable.rows import Malformed
from workflow_scheduler.stores.portable.schedules import DueMove, ScheduleRepository, ScheduleRow
from workflow_scheduler.stores.portable.skips import with_skips

_ATTEMPTS = 5


class Settles(Protocol):
    """The timer, as far as services use it."""

    def wake(self) -> None:
        """Look at the due rows again now."""
        ...

    async def settle(self, tenant_id: str, trigger_id: str) -> None:
        """Settle what one schedule owes now."""
        ...


class SchedulePauses:
    """Pauses and resumes single schedules."""

    def __init__(self, store: Store, clock: Clock, trigger_types: Mapping[str, ModuleType], timer: Settles) -> None:
        """Write to `store`; `timer` settles what a pause has kept from firing."""
        self._clock = clock
        self._types = trigger_types
        self._timer = timer
        self._calendars = CalendarBook.of(store)
        self._schedules = ScheduleRepository(store)
        self._occurrences = OccurrenceRepository(store)

    async def pause(self, principal: Principal, schedule_id: str, reason: str, until: int | None) -> None:
        """Pause a schedule, for good or until a time (microseconds).

        Raises:
            NotFound: the tenant has no such schedule.
            ValidationFailed: `until` has passed.
            Conflict: the schedule has fired for the last time.

        """
        now = self._clock.now()
        if until is not None and until <= now:
            message = f"`until` is {to_iso(until)}, which has passed; write a later time"
            raise ValidationFailed(message, errors=[FieldError("until", message)])
        for _ in range(_ATTEMPTS):
            row = await self.row(principal, schedule_id)
            if row.completed:
                raise Conflict(f"The schedule `{row.name}` is completed; there is nothing to pause.")
            fire_at = row.next_fire_at if until is None else await self._wakes(row, until)
            move = DueMove(
                was_nominal=row.next_nominal,
                paused=until is None,
                next_fire_at=fire_at,
                reason=reason or None,
                until=until,
                by=principal.user_id,
            )
            if await self._schedules.move(principal.tenant_id, schedule_id, move, now):
                return
        raise _busy(schedule_id)

    async def _wakes(self, row: ScheduleRow, until: int) -> int | None:
        """Return when the timer looks at a schedule that rests until `until`: then, or at the first time after."""
        if row.next_nominal is None or row.deployment_status != "active":
            return None
        module, config = await self._configured(row)
        due = next_due(module, config, row.id, until - 1, row.anchor)
        passes = row.next_nominal < until and on_resume(module, config, by_itself=True) != "none"
        return until if due is None or passes else due.fire_at

    async def resume(self, principal: Principal, schedule_id: str, missed: Catchup | None) -> list[str]:
        """End a pause and return the ids of the runs of the times that passed.

        `missed` says which of them run, by default what the schedule's `on_resume` says.

        Raises:
            NotFound: the tenant has no such schedule.
            Conflict: the workflow is paused, not the schedule.

        """
        for _ in range(_ATTEMPTS):
            row, now = await self.row(principal, schedule_id), self._clock.now()
            if row.workflow_paused:
                raise Conflict(
                    f"The workflow `{row.workflow}` is paused.",
                    fix=f"Resume it: workflow-scheduler resume {row.workflow}",
                )
            owing = row.resume_until is not None and row.next_nominal is not None
            if not paused_now(row, now) and not (owing and (row.next_nominal or 0) <= (row.resume_until or 0)):
                return []
            if paused_now(row, now) and not await self._end(row, missed, now):
                continue
            await self._timer.settle(row.tenant_id, row.id)
            self._timer.wake()
            if row.next_nominal is None:
                return []
            return await self._occurrences.runs_between(row.tenant_id, row.id, row.next_nominal, now)
        raise _busy(schedule_id)

    async def _end(self, row: ScheduleRow, missed: Catchup | None, now: int) -> bool:
        module, config = await self._configured(row)
        fire_at: int | None = None
        if row.next_nominal is not None and row.deployment_status == "active":
            timer = Timer(module, config, row.id, row.anchor)
            first = timer.due(timer.at(row.next_nominal), policy_of(config).jitter)
            fire_at = row.next_nominal if row.next_nominal <= now else first.fire_at
        move = DueMove(
            was_nominal=row.next_nominal,
            paused=False,
            next_fire_at=fire_at,
            settle_until=now,
            settle_as=missed or on_resume(module, config),
        )
        return await self._schedules.move(row.tenant_id, row.id, move, now)

    async def _configured(self, row: ScheduleRow) -> tuple[Any, Any]:
        module: Any = self._types.get(row.type)
        if module is None:
            raise Conflict(f"The trigger type `{row.type}` is not installed.")
        config = module.Config.model_validate(with_skips(msgspec.json.decode(row.config), row.skips))
        return await self._calendars.bound(row.tenant_id, module, config, self._clock.now())

    async def row(self, principal: Principal, schedule_id: str) -> ScheduleRow:
        """Return the row of a schedule.

        Raises:
            NotFound: the tenant has no such schedule.
            Conflict: its row cannot be read.

        """
        row = await self._schedules.get(principal.tenant_id, schedule_id, self._clock.now())
        if isinstance(row, Malformed):
            raise Conflict(f"The stored row of schedule `{schedule_id}` cannot be read: {row.detail}")
        return row


def _busy(schedule_id: str) -> Conflict:
    return Conflict(f"The schedule `{schedule_id}` fires and changes all the time.", fix="Try again.")
