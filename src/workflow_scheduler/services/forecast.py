"""The forecast: how many runs the schedules of a tenant will start in the coming hours, and when too many at once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from pydantic import ValidationError

from workflow_scheduler.core.errors import FieldError, SchedulerError, ValidationFailed
from workflow_scheduler.core.model.principal import Principal
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.core.time.blackout import Skipping
from workflow_scheduler.core.time.clock import HOUR_US, MINUTE_US, Clock, to_iso
from workflow_scheduler.core.time.exclusion import excluding
from workflow_scheduler.core.time.forecast import Collision, Group, Outlook, collisions, look_ahead, spreading
from workflow_scheduler.core.time.holding import started_late
from workflow_scheduler.core.time.late import policy_of
from workflow_scheduler.core.time.timer import Timer
from workflow_scheduler.services.restraints import Restraints
from workflow_scheduler.services.schedule_config import stored
from workflow_scheduler.stores.portable.calendars import followed_by_tenant
from workflow_scheduler.stores.portable.rows import Malformed
from workflow_scheduler.stores.portable.schedules import ScheduleRepository, ScheduleRow

HOURS_MAX = 744
SCHEDULES_MAX = 100_000
_PAGE = 2_000
_NAMED_MAX = 20
_BUSIEST = 60


class Gathered:
    """The live schedules of a tenant, those with the same times in one group."""

    def __init__(self, held: Restraints, stop: int) -> None:
        """Start empty; `held` are the calendars and windows, `stop` (microseconds) the end of what is foretold."""
        self._held = held
        self._stop = stop
        self.groups: list[Group] = []
        self.names: dict[str, tuple[str, str]] = {}
        self.resting = 0
        self.unreadable = 0
        self.left_out = False
        self._known: dict[tuple[str, str, int, int, tuple[str, ...], int], Group | None] = {}

    def room(self, collision: Collision) -> int:
        """Return half the time until any member of a collision fires again: jitter has no more room than that."""
        concerned = set(collision.members)
        gaps = [
            following.utc - collision.at
            for group in self.groups
            if concerned & set(group.members)
            and (following := group.type.next_fire(group.config, collision.at, group.anchor)) is not None
        ]
        return min(gaps, default=HOUR_US) // 2

    def add(self, types: Mapping[str, ModuleType], row: ScheduleRow, now: int) -> None:
        """Take one schedule; paused, disabled and completed ones are only counted."""
        if row.paused or row.workflow_paused or row.completed or row.mode != "enabled":
            self.resting += 1
            return
        begin = max(now, row.paused_until or 0)
        anchored = getattr(types.get(row.type), "anchored", False)
        windows = tuple(window.name for window in self._held.of(row.workflow))
        fired = row.fires if "max_fires" in row.config else 0
        key = (row.type, row.config, row.anchor if anchored else 0, begin, windows, fired)
        if key not in self._known:
            self._known[key] = self._group(types, row, begin)
        group = self._known[key]
        if group is None:
            self.unreadable += 1
            return
        group.members.append(row.id)
        self.names[row.id] = (row.workflow, row.name)

    def _group(self, types: Mapping[str, ModuleType], row: ScheduleRow, begin: int) -> Group | None:
        try:
            module, config = self._held.bind(row.workflow, *stored(types, row.type, row.config))
        except (SchedulerError, ValidationError, ValueError):
            return None
        timer: Any = module
        windows = self._held.of(row.workflow)
        late = started_late(Timer(timer, config, row.id, row.anchor), windows, begin, self._stop)
        config = excluding(config, Skipping(windows)) if windows else config
        most: int | None = getattr(config, "max_fires", None)
        left = None if most is None else max(0, most - row.fires)
        group = Group(timer, config, row.anchor, begin, policy_of(config).jitter > 0, [], tuple(late), left)
        self.groups.append(group)
        return group


class Forecast:
    """Looks ahead over all schedules of a tenant."""

    def __init__(self, store: Store, clock: Clock, trigger_types: Mapping[str, ModuleType]) -> None:
        """Read schedules from `store`; compute their times with `trigger_types`."""
        self._store = store
        self._clock = clock
        self._types = trigger_types
        self._schedules = ScheduleRepository(store)

    async def ahead(
        self, principal: Principal, *, hours: int = 24, minutes: bool = False, most: int = 10, spread: bool = False
    ) -> dict[str, Any]:
        """Return the planned fires of the next `hours` by the hour (or minute), and the `most` worst collisions.

        With `spread`, each collision comes with the jitter that would spread it. Nominal times are counted; schedules
        with jitter are in the sums but collide with nobody. Work is bounded: see `exact` and `sampled`.

        Raises:
            ValidationFailed: `hours` is not 1 to 744.

        """
        if not 1 <= hours <= HOURS_MAX:
            message = f"`hours` must be 1 to {HOURS_MAX}"
            raise ValidationFailed(message, errors=[FieldError("hours", message)])
        now = self._clock.now()
        stop = now + hours * HOUR_US
        names = await followed_by_tenant(self._store, principal.tenant_id)
        held = await Restraints.load(self._store, self._types, principal.tenant_id, names, now)
        gathered = await self._gather(principal.tenant_id, now, Gathered(held, stop))
        found = await asyncio.to_thread(look_ahead, gathered.groups, now, stop)
        worst = collisions(gathered.groups, found, most)
        buckets, width = (found.minutes, MINUTE_US) if minutes else (found.hours, HOUR_US)
        return {
            "from": to_iso(now),
            "to": to_iso(stop),
            **_scope(gathered, found),
            "total": found.total,
            "bucket_seconds": width // 1_000_000,
            "items": [{"start": to_iso(at), "fires": buckets[at]} for at in sorted(buckets)],
            "next": None,
            "busiest_minutes": _busiest(found),
            "collisions": [_collision_shape(one, gathered, spread=spread) for one in worst],
        }

    async def _gather(self, tenant_id: str, now: int, gathered: Gathered) -> Gathered:
        cursor: str | None = None
        seen = 0
        while True:
            rows, cursor = await self._schedules.page(tenant_id, _PAGE, cursor, now)
            for row in rows:
                if isinstance(row, Malformed):
                    gathered.unreadable += 1
                else:
                    gathered.add(self._types, row, now)
            seen += len(rows)
            if cursor is None:
                return gathered
            if seen >= SCHEDULES_MAX:
                gathered.left_out = True
                return gathered


def _scope(gathered: Gathered, found: Outlook) -> dict[str, Any]:
    """Return what the numbers cover, in figures and in words."""
    live = sum(len(group.members) for group in gathered.groups)
    words = []
    if found.stride > 1:
        words.append(
            f"an estimate: one of {found.stride} different rules was computed and stands for {found.stride};"
            ", collisions are at least these; ask for fewer hours for exact numbers"
        )
    if gathered.left_out:
        words.append(f"only the first {SCHEDULES_MAX} schedules are covered")
    if gathered.unreadable:
        words.append(f"{gathered.unreadable} schedules cannot be read and are left out")
    return {
        "schedules": live,
        "rules": len(gathered.groups),
        "resting": gathered.resting,
        "exact": not words,
        "sampled": found.stride,
        "note": "; ".join(words) or None,
    }


def _busiest(found: Outlook) -> list[dict[str, Any]]:
    worst = sorted(found.minutes, key=lambda at: (-found.minutes[at], at))[:_BUSIEST]
    return [{"start": to_iso(at), "fires": found.minutes[at]} for at in worst if found.minutes[at]]


def _collision_shape(collision: Collision, gathered: Gathered, *, spread: bool) -> dict[str, Any]:
    named = [
        {"id": one, "workflow": gathered.names[one][0], "name": gathered.names[one][1]}
        for one in collision.members[:_NAMED_MAX]
    ]
    size = len(collision.members)
    at = to_iso(collision.at)
    shape: dict[str, Any] = {
        "at": at,
        "fires": size,
        "schedules": named,
        "more": size - len(named),
        "summary": f"{size} fires at {at[11:19]} on {at[:10]} (UTC)",
    }
    if spread:
        advice = spreading(collision, gathered.room(collision))
        shape["spread"] = {
            "jitter": f"{advice.jitter_seconds}s",
            "peak_before": advice.peak_before,
            "peak_after": advice.peak_after,
        }
    return shape
