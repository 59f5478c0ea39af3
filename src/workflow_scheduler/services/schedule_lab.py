"""The clock-change laboratory for a tenant: what clock changes do to an expression that follows calendars."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any, NamedTuple

import msgspec

from workflow_scheduler.core.model.principal import Principal
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.core.time.calendars.use import named
from workflow_scheduler.core.time.clock import from_iso
from workflow_scheduler.core.time.exclusion import exclusion_of
from workflow_scheduler.core.time.lab import ChangeDay, Report, Unusual, examine
from workflow_scheduler.core.time.zone import Gap, Overlap
from workflow_scheduler.services.schedule_config import parse
from workflow_scheduler.stores.portable.calendar_book import CalendarBook


class Rules(NamedTuple):
    """A timer type and its configuration under the calendars it follows."""

    module: Any
    config: Any

    def against(self, instant: int) -> str | None:
        """Return why a time of the expression does not run at `instant` (microseconds), or None where it does."""
        fire = self.module.next_fire(self.config, instant - 1, instant)
        if fire is None or fire.utc != instant:
            return "its calendars move it to another day"
        exclusion = exclusion_of(self.config)
        excluded = None if exclusion is None else exclusion.of(instant)
        return None if excluded is None else f"a calendar leaves it out: {excluded.note}"


async def examined(
    store: Store, types: Mapping[str, ModuleType], principal: Principal, body: Mapping[str, Any], start: int
) -> Report:
    """Return every unusual fire of the expression in `body` from `start` (microseconds) on.

    A time that calendars of the tenant leave out or move has no instant, and its note says why. A day whose clock
    change falls to such a time is left out.

    Raises:
        ValidationFailed: the expression, the zone, the years or the calendars are wrong, or a calendar does not exist.

    """
    gap: Gap = body["dst_gap"]
    overlap: Overlap = body["dst_overlap"]
    report = examine(body["cron"], body["timezone"], start, body["years"], (gap, overlap))
    if body.get("calendars") is None:
        return report
    fields = ("cron", "timezone", "dst_gap", "dst_overlap", "calendars")
    module, config = parse(types, {name: body[name] for name in fields})
    snapshot = await CalendarBook.of(store).load(principal.tenant_id, named(body), start)
    rules = Rules(*snapshot.bind(module, config))
    days = [day for day in report.days if not _is_left_out(day, rules)]
    return msgspec.structs.replace(report, items=[_under(item, rules) for item in report.items], days=days)


def _under(item: Unusual, rules: Rules) -> Unusual:
    why = None if item.utc is None else rules.against(from_iso(item.utc))
    return item if why is None else msgspec.structs.replace(item, utc=None, note=f"{item.note}; {why}")


def _is_left_out(day: ChangeDay, rules: Rules) -> bool:
    """Return whether calendars leave out the local date of a clock change."""
    exclusion = exclusion_of(rules.config)
    return exclusion is not None and exclusion.of(from_iso(day.at)) is not None
