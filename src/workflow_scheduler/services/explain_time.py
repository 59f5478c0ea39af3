"""Why a schedule ran at a time, or why it did not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from workflow_scheduler.core.errors import NotFound
from workflow_scheduler.core.model.trigger import Occurrence
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.core.reasons import Reason
from workflow_scheduler.core.registry import Fire
from workflow_scheduler.services.nominal import Timetable
from workflow_scheduler.services.rests import paused_now, rest_end
from workflow_scheduler.services.sentences import local_time, occurrence_summary
from workflow_scheduler.services.shapes import instant, malformed_shape
from workflow_scheduler.stores.portable.backfill_past import PastReader
from workflow_scheduler.stores.portable.decisions import TriggerName
from workflow_scheduler.stores.portable.occurrences import OccurrenceRepository, stretch_of
from workflow_scheduler.stores.portable.rows import Malformed
from workflow_scheduler.stores.portable.runs import RunRepository
from workflow_scheduler.stores.portable.schedules import ScheduleRepository, ScheduleRow
from workflow_scheduler.stores.portable.skips import instants


def trigger_shape(trigger: TriggerName) -> dict[str, Any]:
    """Return what explanations show of a trigger."""
    return {
        "id": trigger.id,
        "name": trigger.name,
        "type": trigger.type,
        "workflow_id": trigger.workflow_id,
        "workflow": trigger.workflow,
        "deployment_status": trigger.deployment_status,
        "mode": trigger.mode,
        "created_at": instant(trigger.created_at),
        "updated_at": instant(trigger.updated_at),
    }


def fire_shape(fire: Fire | None) -> dict[str, Any] | None:
    """Return a nominal time as previews show it, or None for none."""
    return None if fire is None else shape_of(fire)


def shape_of(fire: Fire) -> dict[str, Any]:
    """Return a nominal time as previews show it."""
    return {"utc": instant(fire.utc), "local": fire.local, "fold": fire.fold, "note": fire.note}


def occurrence_shape(row: Occurrence) -> dict[str, Any]:
    """Return a settled occurrence."""
    return {
        "nominal_local": row.nominal_local,
        "utc": instant(row.nominal),
        "timezone": row.timezone,
        "fold": row.fold,
        "outcome": row.outcome,
        "reason": row.reason,
        "note": row.note,
        "run_id": row.run_id,
        "event_id": row.event_id,
        "tzdata": row.tzdata,
        "recorded_at": instant(row.recorded_at),
    }


class TimeExplainer:
    """Explains the times of schedules."""

    def __init__(self, store: Store, trigger_types: Mapping[str, ModuleType]) -> None:
        """Read from `store`; compute nominal times with `trigger_types`."""
        self._store = store
        self._types = trigger_types
        self._schedules = ScheduleRepository(store)
        self._occurrences = OccurrenceRepository(store)
        self._runs = RunRepository(store)

    async def explain(self, tenant_id: str, trigger: TriggerName, at: int | None, now: int) -> dict[str, Any]:
        """Explain the nominal time at `at`, or the last one before now."""
        try:
            row = await self._schedules.get(tenant_id, trigger.id, now)
        except NotFound:
            return {
                "trigger": trigger_shape(trigger),
                "at": instant(now if at is None else at),
                "outcome": None,
                "summary": f"*{trigger.name}* has no schedule: its trigger is {trigger.deployment_status}.",
            }
        if isinstance(row, Malformed):
            shown = malformed_shape(row)
            return {"trigger": trigger_shape(trigger), "error": shown["error"], "summary": shown["error"]["message"]}
        table = await Timetable.read(self._store, self._types, row, now)
        nominal = table.before(now + 1) if at is None else table.meant(at)
        asked = at if at is not None else nominal.utc if nominal else now
        answer: dict[str, Any] = {
            "trigger": trigger_shape(trigger),
            "at": instant(asked),
            "nominal": fire_shape(nominal),
            "nearest": {
                "before": fire_shape(table.before(nominal.utc if nominal else asked)),
                "after": fire_shape(table.after(nominal.utc if nominal else asked)),
            },
            "schedule": {
                "paused": paused_now(row, now),
                "paused_reason": row.paused_reason,
                "next_fire_at": instant(row.next_fire_at),
                "completed": row.completed,
            },
        }
        if nominal is None:
            record = await self._occurrences.of_minute(tenant_id, trigger.id, asked, now)
            if record is not None:
                # The rule has changed since; what was recorded under the old one stays true.
                return {**answer, **(await self._recorded(tenant_id, trigger, record, record.nominal))}
            return {**answer, **self._no_time(trigger, table, asked)}
        settled = await self._settled(tenant_id, trigger, (row, table), nominal, now)
        made = await PastReader(self._store, tenant_id, trigger.id).backfilled(nominal.utc, nominal.utc + 1)
        runs = made.get(str(instant(nominal.utc)), [])
        return {**answer, **settled, "backfills": runs, "summary": settled["summary"] + _backfilled(runs)}

    @staticmethod
    def _no_time(trigger: TriggerName, table: Timetable, at: int) -> dict[str, Any]:
        """Say that `at` is not one of the schedule's times, and which are near."""
        zone = table.timezone
        moved = table.moved_from(at)
        if moved is not None:
            text = f"{local_time(at, zone)} is a time of *{trigger.name}* that a calendar moves to"
            summary = f"{text} {local_time(moved.utc, zone)}: {moved.note}."
            return {
                "outcome": "not_scheduled",
                "reason": "calendar",
                "run_id": None,
                "run_status": None,
                "summary": summary,
            }
        before, after = table.before(at), table.after(at)
        parts = []
        if before is not None:
            parts.append(f"before it comes {local_time(before.utc, zone)}")
        if after is not None:
            parts.append(f"after it {local_time(after.utc, zone)}")
        near = ", ".join(parts) or "it names no time near it"
        text = f"{local_time(at, zone)} is not a time of *{trigger.name}*: {near}."
        return {"outcome": "not_scheduled", "reason": None, "run_id": None, "run_status": None, "summary": text}

    async def _recorded(self, tenant_id: str, trigger: TriggerName, record: Occurrence, nominal: int) -> dict[str, Any]:
        """Say what a record says about the nominal time, microseconds."""
        runs = await self._runs.several(tenant_id, [record.run_id] if record.run_id else [])
        run = runs.get(record.run_id or "")
        return {
            "occurrence": occurrence_shape(record),
            "outcome": record.outcome,
            "reason": record.reason,
            "run_id": record.run_id,
            "run_status": run.status.value if run else None,
            "summary": _with_note(
                occurrence_summary(trigger.name, nominal, record.timezone, record.outcome, record.reason), record
            ),
        }

    async def _settled(
        self, tenant_id: str, trigger: TriggerName, schedule: tuple[ScheduleRow, Timetable], nominal: Fire, now: int
    ) -> dict[str, Any]:
        """Say what became of one nominal time: from its occurrence, else from the state of the schedule."""
        row, table = schedule
        occurrence = await self._occurrences.covering(tenant_id, trigger.id, nominal.utc, now)
        if occurrence is not None:
            return await self._recorded(tenant_id, trigger, occurrence, nominal.utc)
        outcome, words = unrecorded(row, trigger, nominal.utc, now)
        if outcome == "planned":
            begin = max(now + 1, rest_end(row))
            if nominal.utc >= last_instant(row, table, (now, begin), nominal.utc + 1) and nominal.utc >= begin:
                return _beyond(trigger, nominal, table)
        excluded = table.excluded(nominal.utc) if outcome in {"planned", "pending"} else None
        deferred = table.deferred(nominal.utc) if outcome in {"planned", "pending"} and excluded is None else None
        reason = None if excluded is None else excluded.reason.value
        if excluded is not None:
            who = "a blackout window" if excluded.reason is Reason.BLACKOUT else "a calendar"
            outcome, words = excluded.outcome.value, f"{who} leaves that time out: {excluded.note}"
        elif deferred is not None:
            reason, words = Reason.BLACKOUT.value, f"{words}; it waits for the end of a window: {deferred}"
        elif nominal.note and nominal.utc > now:
            words = f"{words} ({nominal.note})"
        due = f"*{trigger.name}* {'is' if nominal.utc > now else 'was'} due {local_time(nominal.utc, table.timezone)}"
        return {
            "occurrence": None,
            "outcome": outcome,
            "reason": reason,
            "run_id": None,
            "run_status": None,
            "summary": f"{due}; {words}.",
        }


def _beyond(trigger: TriggerName, nominal: Fire, table: Timetable) -> dict[str, Any]:
    """Say that a time comes after the last run that `max_fires` allows."""
    at = local_time(nominal.utc, table.timezone)
    words = f"`max_fires` is {table.max_fires}, and by then so many runs have started"
    return {
        "occurrence": None,
        "outcome": "not_scheduled",
        "reason": Reason.MAX_FIRES.value,
        "run_id": None,
        "run_status": None,
        "summary": f"*{trigger.name}* will not run {at}: {words}.",
    }


def _backfilled(runs: Sequence[Mapping[str, Any]]) -> str:
    """Return the sentence about the backfills of a time; nothing where there are none."""
    parts = [f"backfill {one['backfill_id']} ran it: run {one['run_id']}, {one['run_status']}" for one in runs]
    return f" Later {'; '.join(parts)}." if parts else ""


def _with_note(summary: str, record: Occurrence) -> str:
    """Return the summary with what the record says of the calendars that decided."""
    stretch = stretch_of(record)
    note = record.note if stretch is None else stretch.note
    told = record.reason == Reason.CALENDAR or "moved from " in (note or "")
    return f"{summary.removesuffix('.')} ({note})." if note and told else summary


def last_instant(row: ScheduleRow, table: Timetable, moment: tuple[int, int], until: int) -> int:
    """Return the end of the times to come before `until`, exclusive: `max_fires` lets no more run.

    `moment` is now, and the instant from which on times run again; what is due already starts one run.
    """
    if table.max_fires is None:
        return until
    now, start = moment
    due = row.next_nominal is not None and row.next_nominal <= now and start == now + 1
    skips = table.skipped.union(instants(row.skips))
    return table.end_after(table.max_fires - row.fires - due, start, max(until, start), skips)


def unrecorded(row: ScheduleRow, trigger: TriggerName, nominal: int, now: int) -> tuple[str, str]:
    """Return outcome and words for a nominal time without a recorded occurrence."""
    if nominal > now and nominal in instants(row.skips):
        return "skipped", "somebody skipped this one time, so it will not run unless that is taken back"
    resting = nominal < rest_end(row)
    paused = row.paused or row.workflow_paused
    if nominal > now:
        if trigger.deployment_status != "active":
            return "not_scheduled", f"its trigger is {trigger.deployment_status}, so it will not run"
        if resting:
            return "planned", f"the schedule is paused{_because(row)}, so it will not run then unless it is resumed"
        return "planned", "that time has not come yet"
    unsettled = row.next_nominal is not None and nominal >= row.next_nominal
    rules = (
        (nominal < trigger.created_at, "not_scheduled", "the trigger was created later than that"),
        (
            unsettled and trigger.deployment_status != "active",
            "skipped",
            f"it did not run: its workflow is not deployed since {instant(row.updated_at)}",
        ),
        (trigger.deployment_status != "active", "not_scheduled", f"its trigger is {trigger.deployment_status}"),
        (unsettled and resting and paused, "skipped", f"it did not run: the schedule is paused{_because(row)}"),
        (unsettled and resting, "skipped", f"it did not run: the schedule was paused{_because(row)}"),
        (unsettled, "pending", "it is due and will be taken in a moment"),
        (nominal < row.updated_at, "not_scheduled", "it did not run: the schedule was changed or resumed after that"),
        (True, "unknown", "nothing is recorded about it; records may have been deleted by retention"),
    )
    return next((outcome, words) for holds, outcome, words in rules if holds)


def _because(row: ScheduleRow) -> str:
    return f" ({row.paused_reason})" if row.paused_reason else ""
