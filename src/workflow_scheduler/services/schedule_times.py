"""The times of schedules: a preview of those to come, and the ledger of those that were settled."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from workflow_scheduler.core.errors import ValidationFailed
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.core.time.clock import DAY_US, from_iso, to_iso
from workflow_scheduler.services.explain_time import fire_shape, occurrence_shape
from workflow_scheduler.services.nominal import Timetable
from workflow_scheduler.services.schedule_config import parse
from workflow_scheduler.services.shapes import instant, shaped
from workflow_scheduler.stores.portable.occurrences import OccurrenceRepository
from workflow_scheduler.stores.portable.rows import quarantine
from workflow_scheduler.stores.portable.schedules import ScheduleRow

PREVIEW_MAX = 1_000
OCCURRENCES_MAX = 1_000
_WEEK_US = 7 * DAY_US


def moment(text: object, field: str) -> int:
    """Return the microseconds of an ISO 8601 time that a caller gave for `field`.

    Raises:
        ValidationFailed: it is none.

    """
    try:
        return from_iso(str(text))
    except (ValueError, OverflowError):
        raise ValidationFailed(f"`{field}` is not an ISO 8601 time; write it as 2027-03-14T07:30:00Z.") from None


def preview(types: Mapping[str, ModuleType], body: Mapping[str, Any], now: int) -> dict[str, Any]:
    """Return the times of a schedule's body from its `from` (now) on, as many as its `count` (10).

    Raises:
        ValidationFailed: the expression, the zone, `from` or `count` is wrong.

    """
    fields = dict(body)
    count = fields.pop("count", None)
    start = fields.pop("from", None)
    count = 10 if count is None else count
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= PREVIEW_MAX:
        raise ValidationFailed(f"`count` must be a number from 1 to {PREVIEW_MAX}.")
    since = now if start is None else moment(start, "from") - 1
    module, config = parse(types, fields)
    table = Timetable(module, config, since + (start is not None))
    fires: list[dict[str, Any] | None] = []
    fire = table.after(since)
    while fire is not None and len(fires) < count:
        fires.append(fire_shape(fire))
        fire = table.after(fire.utc)
    describe = getattr(module, "describe", None)
    return {
        "fires": fires,
        "timezone": table.timezone,
        "description": describe(config) if describe else None,
    }


class Ledger:
    """What became of a schedule's times. It lists records and plans; sums over ranges have their place here too."""

    def __init__(self, store: Store, trigger_types: Mapping[str, ModuleType]) -> None:
        """Read records from `store`; compute times to come with `trigger_types`."""
        self._store = store
        self._types = trigger_types
        self._occurrences = OccurrenceRepository(store)

    async def between(
        self, row: ScheduleRow, since: int | None, until: int | None, limit: int, now: int
    ) -> dict[str, Any]:
        """Return the times of `row` in [since, until) (microseconds), by default a week back and a week ahead.

        Raises:
            ValidationFailed: `until` is not later than `since`.

        """
        start = now - _WEEK_US if since is None else since
        end = max(start, now) + _WEEK_US if until is None else until
        if end <= start:
            raise ValidationFailed("`to` must be later than `from`.")
        most = min(limit, OCCURRENCES_MAX)
        settled = await self._occurrences.between(row.tenant_id, row.id, start, end, most + 1, now)
        items, broken = shaped(settled, "occurrences", lambda one: str(one.nominal), occurrence_shape)
        await quarantine(self._store, row.tenant_id, broken, now)
        if len(items) <= most and not row.completed and row.deployment_status == "active":
            items += self._planned(row, max(start, row.next_nominal or now), end, most + 1 - len(items))
        following = items[most].get("utc") if len(items) > most else None
        return {"items": items[:most], "next": following, "from": to_iso(start), "to": to_iso(end)}

    def _planned(self, row: ScheduleRow, start: int, end: int, limit: int) -> list[dict[str, Any]]:
        """Return times that are not settled yet; while the schedule is paused they say so."""
        table = Timetable.parse(self._types, row.type, row.config, row.anchor)
        paused = row.paused or row.workflow_paused
        return [
            {
                "nominal_local": fire.local,
                "utc": instant(fire.utc),
                "timezone": table.timezone,
                "fold": fire.fold,
                "outcome": "planned",
                "reason": "missed_paused" if paused else None,
                "note": fire.note,
                "run_id": None,
                "event_id": None,
            }
            for fire in table.between(start, end, limit)
        ]
