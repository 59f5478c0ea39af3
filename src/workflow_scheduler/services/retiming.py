"""New time zone data: the next times of schedules are computed again when a version of the program brings it.

All rows are looked at after a start, while the service works; later those that an instance with older data has written
meanwhile. The timer asks for a row of older data before it fires a time that lies after the start (`Retimes`), so that
nothing goes out at a time that is wrong by now. What was due before the start was so under the data of its day, and
stays.

Each row is written alone, guarded by what was read; a restart or a second instance goes on where rows are left. No slot
is skipped: the next time is the first one after the last that was settled, also where the new data puts it before now.
None fires twice: a local time that was settled under the old data is passed over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import ModuleType
from typing import Any, NamedTuple

import structlog

from workflow_scheduler.core.errors import SchedulerError, Unavailable
from workflow_scheduler.core.model.trigger import Occurrence, Schedule
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

BATCH = 100
RETRY_SECONDS = 5.0
WATCH_SECONDS = 600.0
_COLUMNS = """SELECT s.tenant_id, s.trigger_id, t.trigger_subtype, t.trigger_config, s.anchor, s.next_nominal,
      s.revision, s.tzdata, s.updated_at, s.paused_until
    FROM schedules s JOIN trigger_index t ON t.tenant_id = s.tenant_id AND t.id = s.trigger_id
    WHERE s.next_fire_at IS NOT NULL AND s.next_nominal IS NOT NULL AND t.deployment_status = 'active' """
_PAGE = f"""{_COLUMNS} AND s.tzdata = :old AND (s.tenant_id, s.trigger_id) > (:after_tenant, :after_trigger)
    ORDER BY s.tenant_id, s.trigger_id LIMIT :limit"""
_ONE = f"{_COLUMNS} AND s.tenant_id = :tenant AND s.trigger_id = :trigger"
# A loose index scan: one probe for each version, however many rows it has. Rows that were never armed have none.
_VERSIONS = """WITH RECURSIVE found(v) AS (SELECT MIN(tzdata) FROM schedules WHERE tzdata > '' UNION ALL
      SELECT (SELECT MIN(tzdata) FROM schedules WHERE tzdata > found.v) FROM found WHERE found.v IS NOT NULL)
    SELECT v FROM found WHERE v IS NOT NULL"""
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
        """Write to `store`; compute times with `trigger_types`. Times until now are left to the timer as they are."""
        self._store = store
        self._clock = clock
        self._types = trigger_types
        self._calendars = CalendarBook.of(store)
        self._occurrences = OccurrenceRepository(store)
        self._begun = clock.now()

    async def watch(self) -> None:
        """Look at every row, then for rows that an instance with older data has written, for ever; a loop."""
        older = False
        while True:
            try:
                await self.run(older=older)
                older = True
            except SchedulerError as error:
                _log.warning("retiming.unavailable", error=error.detail)
            await self._clock.sleep(WATCH_SECONDS if older else RETRY_SECONDS)

    async def run(self, *, older: bool = False) -> int:
        """Go through the rows of other versions once, and return how many have another next time now.

        With `older`, rows that newer data has written are left alone: instances of two versions that run side by side
        do not take turns at a row.
        """
        moved = 0
        for (version,) in await self._store.read(_VERSIONS, {}):
            if version != tzdata_version() and not (older and _order(version) > _order(tzdata_version())):
                moved += await self._run_version(version)
        return moved

    async def _run_version(self, version: str) -> int:
        place, moved = ("", ""), 0
        while True:
            params = {"old": version, "limit": BATCH, "after_tenant": place[0], "after_trigger": place[1]}
            rows = [_Row(*row) for row in await self._store.read(_PAGE, params)]
            moved += sum(await asyncio.gather(*(self._try(row) for row in rows)))
            if len(rows) < BATCH:
                await self._mark_idle(version)
                return moved
            place = rows[-1].tenant_id, rows[-1].trigger_id

    async def _mark_idle(self, version: str) -> None:
        """Give the rows that have no next time the new version, so that nobody looks through them again."""
        while await self._store.transact(_mark_idle(version)):
            pass

    async def _try(self, row: _Row) -> bool:
        try:
            return await self._retime(row)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 -- a stored row can be wrong in any way, and has neighbours
            _log.warning("retiming.unreadable", trigger_id=row.trigger_id, error=str(error))
            return False

    def concerns(self, schedule: Schedule) -> bool:
        """Return whether the next time of `schedule` lies after the start and was computed with older data."""
        version = schedule.tzdata
        if version == tzdata_version() or not version or schedule.next_nominal is None:
            return False
        return schedule.next_nominal > self._begun and _order(version) < _order(tzdata_version())

    async def retime(self, schedule: Schedule) -> bool:
        """Bring one row in line; False where nothing came of it, and its next time may as well be taken as it is.

        Raises:
            Unavailable: the store is away.

        """
        who = {"tenant": schedule.tenant_id, "trigger": schedule.trigger_id}
        rows = [_Row(*row) for row in await self._store.read(_ONE, who)]
        if not rows or rows[0].revision != schedule.revision:
            return bool(rows)
        await self._try(rows[0])
        found = await self._store.read(
            "SELECT revision, tzdata FROM schedules WHERE tenant_id = :tenant AND trigger_id = :trigger", who
        )
        return found != [(schedule.revision, schedule.tzdata)]

    async def _retime(self, row: _Row) -> bool:
        now = self._clock.now()
        module, config = stored(self._types, row.type, row.config)
        bound = await self._calendars.bound(row.tenant_id, module, config, now)
        timer = Timer(*bound, row.trigger_id, row.anchor)
        if row.nominal <= max(self._begun, row.updated_at):
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


def _mark_idle(version: str) -> Work[bool]:
    rows = yield Sql(
        """UPDATE schedules SET tzdata = :version WHERE (tenant_id, trigger_id) IN
             (SELECT tenant_id, trigger_id FROM schedules WHERE tzdata = :old AND next_fire_at IS NULL LIMIT :limit)
             AND tzdata = :old AND next_fire_at IS NULL RETURNING trigger_id""",
        {"version": tzdata_version(), "old": version, "limit": BATCH},
    )
    return len(rows) == BATCH


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
