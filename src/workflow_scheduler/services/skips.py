"""Skipping one future time of a schedule, and taking that back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from workflow_scheduler.core.errors import Conflict, FieldError, ValidationFailed
from workflow_scheduler.core.model.principal import Principal
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.core.time.clock import Clock, to_iso
from workflow_scheduler.services.nominal import Timetable
from workflow_scheduler.stores.portable.rows import Malformed
from workflow_scheduler.stores.portable.schedules import ScheduleRepository, ScheduleRow
from workflow_scheduler.stores.portable.skips import SkipRepository, instants

SKIPS_MAX = 1_000


class Skips:
    """The times of schedules that are left out once."""

    def __init__(
        self, store: Store, clock: Clock, trigger_types: Mapping[str, ModuleType], wake: Callable[[], None]
    ) -> None:
        """Write to `store`; check times with `trigger_types`; `wake` tells the timer about changes."""
        self._clock = clock
        self._types = trigger_types
        self._wake = wake
        self._store = store
        self._schedules = ScheduleRepository(store)
        self._skips = SkipRepository(store)

    async def skip(self, principal: Principal, schedule_id: str, at: int | None = None) -> int:
        """Leave the time `at` out (microseconds; to the minute suffices), or the next one; return the nominal time.

        Skipping a time twice is skipping it once.

        Raises:
            NotFound: the tenant has no such schedule.
            ValidationFailed: `at` has passed, or is not one of the schedule's times.
            Conflict: the schedule is completed, or too many times are skipped already.

        """
        row = await self._row(principal, schedule_id)
        now = self._clock.now()
        known = instants(row.skips)
        nominal = _meant(await self._table(row), row, known, at, now)
        if nominal in known:
            return nominal
        kept = [one for one in known if one >= min(now, row.next_nominal or now)]
        if len(kept) >= SKIPS_MAX:
            raise Conflict(f"{SKIPS_MAX} times of `{row.name}` are skipped already; pause it, or change its rule.")
        await self._write(row, sorted({*kept, nominal}))
        return nominal

    async def unskip(self, principal: Principal, schedule_id: str, at: int) -> int:
        """Let a time that was skipped run after all; return the nominal time.

        Raises:
            NotFound: the tenant has no such schedule.
            ValidationFailed: `at` has passed, or was not skipped.

        """
        row = await self._row(principal, schedule_id)
        now = self._clock.now()
        known = instants(row.skips)
        fire = (await self._table(row)).meant(at)
        nominal = at if fire is None else fire.utc
        if nominal <= now:
            raise _refused(f"{to_iso(nominal)} has passed; start a run with `trigger` instead")
        if nominal not in known:
            listed = ", ".join(to_iso(one) for one in known[:5] if one > now) or "none"
            raise _refused(f"{to_iso(nominal)} is not skipped; skipped are: {listed}")
        await self._write(row, [one for one in known if one != nominal])
        return nominal

    async def _table(self, row: ScheduleRow) -> Timetable:
        return await Timetable.read(self._store, self._types, row, self._clock.now())

    async def _row(self, principal: Principal, schedule_id: str) -> ScheduleRow:
        row = await self._schedules.get(principal.tenant_id, schedule_id, self._clock.now())
        if isinstance(row, Malformed):
            raise Conflict(f"The stored row of schedule `{schedule_id}` cannot be read: {row.detail}")
        if row.completed:
            raise Conflict(f"The schedule `{row.name}` is completed.")
        if row.deployment_status != "active":
            raise Conflict(f"The schedule `{row.name}` is not deployed.", fix=f"Deploy `{row.workflow}` first.")
        config: Any = getattr(self._types.get(row.type), "Config", None)
        if config is None or "skip" not in config.model_fields:
            raise Conflict(f"Times of the trigger type `{row.type}` cannot be skipped.")
        return row

    async def _write(self, row: ScheduleRow, skips: list[int]) -> None:
        if not await self._skips.replace(row.tenant_id, row.id, row.skips, skips):
            raise Conflict(f"The skipped times of `{row.name}` were changed in the meantime.", fix="Try again.")
        self._wake()


def _meant(table: Timetable, row: ScheduleRow, known: list[int], at: int | None, now: int) -> int:
    if at is None:
        fire = table.after(max(now, (row.next_nominal or now) - 1))
        while fire is not None and (fire.utc in known or table.excluded(fire.utc) is not None):
            fire = table.after(fire.utc)
        if fire is None:
            raise Conflict(f"`{row.name}` has no further time to skip.")
        return fire.utc
    fire = table.meant(at)
    if fire is None:
        following = table.after(at)
        near = f"; the next one is {to_iso(following.utc)}" if following else ""
        raise _refused(f"{to_iso(at)} is not a time of `{row.name}`{near}")
    if fire.utc <= now:
        raise _refused(f"{to_iso(fire.utc)} has passed; only times to come can be skipped")
    return fire.utc


def _refused(message: str) -> ValidationFailed:
    return ValidationFailed(message, errors=[FieldError("at", message)])
