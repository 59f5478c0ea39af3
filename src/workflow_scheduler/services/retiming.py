"""New time zone data: the next times of schedules are computed again when a version of the program brings it.

A start looks at every row; later the rows are looked at that an instance with older data has written meanwhile.

Each row is written alone, guarded by what was read; a restart or a second instance goes on where rows are left. No slot
is skipped: the next time is the first one after the last that was settled, also where the new data puts it before now.
None fires twice: a local time that was settled under the old data is passed over.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any, NamedTuple

import structlog

from workflow_scheduler.core.errors import SchedulerError
from workflow_scheduler.core.model.trigger import Occurrence
from workflow_scheduler.core.ports.store import Sql, Store, Work
from workflow_scheduler.core.reasons import Outcome, Reason
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.core.time.fire import noted
from workflow_scheduler.core.time.late import policy_of
from workflow_scheduler.core.time.records import Recorder
from workflow_scheduler.core.time.timer import Due, Timer
from workflow_scheduler.core.time.zone import tzdata_version
from workflow_scheduler.services.schedule_config import stored
from workflow_scheduler.stores.portable.calendar_book import CalendarBook
from workflow_scheduler.stores.portable.intake import put_occurrence
from workflow_scheduler.stores.portable.occurrences import OccurrenceRepository

BATCH = 200
WATCH_SECONDS = 600.0
_SELECT = """SELECT s.tenant_id, s.trigger_id, t.trigger_subtype, t.trigger_config, s.anchor, s.next_nominal,
      s.revision, s.tzdata, s.updated_at, s.paused_until
    FROM schedules s JOIN trigger_index t ON t.tenant_id = s.tenant_id AND t.id = s.trigger_id
    WHERE s.tzdata <> :version AND s.next_fire_at IS NOT NULL AND s.next_nominal IS NOT NULL
      AND t.deployment_status = 'active'
      AND (s.tenant_id, s.trigger_id) > (:after_tenant, :after_trigger)
    ORDER BY s.tenant_id, s.trigger_id LIMIT :limit"""
_log = structlog.get_logger(__name__)


class _Row(NamedTuple):
    tenant_id: str
    trigger_id: str
    type: str
    config: str
    anchor: int
    nominal: int
    revision: int
    tzdata: str
    updated_at: int
    paused_until: int | None

    def wakes(self, due: Due) -> int:
        """Return when the timer looks at the row: at the end of its rest, where `due` lies within one."""
        resting = self.paused_until is not None and due.nominal < self.paused_until
        return self.paused_until if resting and self.paused_until is not None else due.fire_at


class Retiming:
    """Brings the due rows in line with the time zone data that runs."""

    def __init__(self, store: Store, clock: Clock, trigger_types: Mapping[str, ModuleType]) -> None:
        """Write to `store`; compute times with `trigger_types`."""
        self._store = store
        self._clock = clock
        self._types = trigger_types
        self._calendars = CalendarBook.of(store)
        self._occurrences = OccurrenceRepository(store)

    async def watch(self) -> None:
        """Look for rows that an instance with older data has written since, for ever; a loop of the service."""
        while True:
            await self._clock.sleep(WATCH_SECONDS)
            try:
                await self.run(older=True)
            except SchedulerError as error:
                _log.warning("retiming.unavailable", error=error.detail)

    async def run(self, *, older: bool = False) -> int:
        """Go through the rows of other versions once, and return how many have another next time now.

        With `older`, rows that newer data has written are left alone: instances of two versions that run side by side
        do not take turns at a row.
        """
        place, moved = ("", ""), 0
        while True:
            params = {"version": tzdata_version(), "now": self._clock.now(), "limit": BATCH,
                      "after_tenant": place[0], "after_trigger": place[1]}  # fmt: skip
            rows = [_Row(*row) for row in await self._store.read(_SELECT, params)]
            for row in rows:
                if older and _order(row.tzdata) > _order(tzdata_version()):
                    continue
                try:
                    moved += await self._retime(row)
                except Exception as error:  # noqa: BLE001 -- a stored row can be wrong in any way, and has neighbours
                    _log.warning("retiming.unreadable", trigger_id=row.trigger_id, error=str(error))
            if len(rows) < BATCH:
                return moved
            place = rows[-1].tenant_id, rows[-1].trigger_id

    async def _retime(self, row: _Row) -> bool:
        now = self._clock.now()
        module, config = stored(self._types, row.type, row.config)
        bound = await self._calendars.bound(row.tenant_id, module, config, now)
        timer = Timer(*bound, row.trigger_id, row.anchor)
        if row.nominal <= now:
            return await self._store.transact(_mark(row, self._rest_end(row, timer)))
        last = await self._occurrences.latest(row.tenant_id, row.trigger_id, now, now)
        fire = timer.after(row.updated_at if last is None else max(last.nominal, row.updated_at))
        while fire is not None and last is not None and (fire.local, fire.fold) == (last.nominal_local, last.fold):
            fire = timer.after(fire.utc)
        if fire is not None and fire.utc == row.nominal:
            return await self._store.transact(_mark(row, self._rest_end(row, timer)))
        due = None if fire is None else timer.due(fire, policy_of(timer.config).jitter)
        return await self._store.transact(_move(row, due, self._superseded(row, timer, due, now)))

    @staticmethod
    def _rest_end(row: _Row, timer: Timer) -> int | None:
        """Return when a row that rests until a later time is looked at; None where it does not rest."""
        due = timer.due(timer.at(row.nominal), policy_of(timer.config).jitter)
        wakes = row.wakes(due)
        return wakes if wakes != due.fire_at else None

    @staticmethod
    def _superseded(row: _Row, timer: Timer, due: Due | None, now: int) -> Occurrence | None:
        following = timer.after(row.nominal - 1)
        if following is not None and following.utc == row.nominal:
            return None  # the new data names that time as well, later
        when = "has no further time" if due is None else f"now due {due.fire.local}"
        note = f"time zone data changed from {row.tzdata} to {tzdata_version()}: {when}"
        recorder = Recorder(row.tenant_id, timer, now)
        return recorder.left_out(noted(timer.at(row.nominal), note), Outcome.SKIPPED, Reason.SUPERSEDED)


def _order(version: str) -> tuple[int, ...]:
    """Return what versions of time zone data are ordered by: the numbers in them."""
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _mark(row: _Row, wakes: int | None) -> Work[bool]:
    yield Sql(
        """UPDATE schedules SET tzdata = :version, next_fire_at = COALESCE(:wakes, next_fire_at)
           WHERE tenant_id = :tenant AND trigger_id = :trigger
             AND revision = :revision AND next_nominal = :was""",
        {**_guard(row), "wakes": wakes},
    )
    return False


def _move(row: _Row, due: Due | None, superseded: Occurrence | None) -> Work[bool]:
    rows = yield Sql(
        """UPDATE schedules SET tzdata = :version, next_fire_at = :fire, next_nominal = :nominal,
             completed = :completed, revision = revision + 1
           WHERE tenant_id = :tenant AND trigger_id = :trigger AND revision = :revision AND next_nominal = :was
             AND tzdata = :old RETURNING trigger_id""",
        {
            **_guard(row),
            "old": row.tzdata,
            "fire": row.wakes(due) if due else None,
            "nominal": due.nominal if due else None,
            "completed": int(due is None),
        },
    )
    if rows and superseded is not None:
        yield put_occurrence(superseded)
    return bool(rows)


def _guard(row: _Row) -> dict[str, Any]:
    return {"version": tzdata_version(), "tenant": row.tenant_id, "trigger": row.trigger_id,
            "revision": row.revision, "was": row.nominal}  # fmt: skip
