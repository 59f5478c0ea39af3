"""What a deployment would change: compared definition against definition, nothing is written."""

from __future__ import annotations

from typing import Any

import msgspec

from workflow_scheduler.core.definition.diff import changes
from workflow_scheduler.core.model.deployment import PlannedTrigger
from workflow_scheduler.core.reasons import Reason
from workflow_scheduler.core.time.clock import to_iso
from workflow_scheduler.core.time.fire import noted
from workflow_scheduler.core.time.timer import Due

FIRES_SHOWN = 5


class Side(msgspec.Struct, frozen=True):
    """One side of the comparison: a definition's plain value and its planned triggers."""

    value: dict[str, Any]
    triggers: tuple[PlannedTrigger, ...]


NOTHING = Side({}, ())


def compare(before: Side, after: Side, now: int) -> dict[str, Any]:
    """Return triggers and jobs that are added, changed and removed, with the next fires of time triggers.

    `now` is in microseconds; the fires before and after a change are listed from then on.
    """
    return {
        "triggers": _triggers(before, after, now),
        "jobs": _jobs(before.value.get("jobs") or {}, after.value.get("jobs") or {}),
        "settings": changes(_settings(before.value), _settings(after.value)),
    }


def _settings(value: dict[str, Any]) -> dict[str, Any]:
    return {key: part for key, part in value.items() if key not in {"triggers", "jobs"}}


def _triggers(before: Side, after: Side, now: int) -> dict[str, list[dict[str, Any]]]:
    old = {trigger.name: trigger for trigger in before.triggers}
    new = {trigger.name: trigger for trigger in after.triggers}
    found: dict[str, list[dict[str, Any]]] = {"added": [], "changed": [], "removed": [], "unchanged": []}
    for name, trigger in new.items():
        earlier = old.get(name)
        entry: dict[str, Any] = {"name": name, "type": trigger.type}
        if earlier is None:
            found["added"].append({**entry, "next_fires": next_fires(trigger, now)})
        elif _same(earlier, trigger):
            found["unchanged"].append(entry)
        else:
            was = (before.value.get("triggers") or {}).get(name, {})
            will = (after.value.get("triggers") or {}).get(name, {})
            fires = {"next_fires_before": next_fires(earlier, now), "next_fires": next_fires(trigger, now)}
            found["changed"].append({**entry, "changes": changes(was, will), **fires})
    for name, trigger in old.items():
        if name not in new:
            lost = {"name": name, "type": trigger.type, "next_fires_before": next_fires(trigger, now)}
            found["removed"].append(lost)
    return found


def _same(one: PlannedTrigger, other: PlannedTrigger) -> bool:
    return (one.type, one.config, one.shared) == (other.type, other.config, other.shared)


def _jobs(old: dict[str, Any], new: dict[str, Any]) -> dict[str, list[Any]]:
    return {
        "added": [name for name in new if name not in old],
        "removed": [name for name in old if name not in new],
        "changed": [
            {"name": name, "changes": changes(old[name], new[name])}
            for name in new
            if name in old and old[name] != new[name]
        ],
        "unchanged": [name for name in new if name in old and old[name] == new[name]],
    }


def next_fires(trigger: PlannedTrigger, now: int, count: int = FIRES_SHOWN) -> list[dict[str, Any]]:
    """Return the next nominal times of a time trigger after `now` (microseconds); empty for other types."""
    found: list[dict[str, Any]] = []
    after = now
    while trigger.next_due is not None and len(found) < count:
        due = trigger.next_due(after, now)
        if due is None:
            break
        found.append(_foretold(trigger, due))
        after = due.nominal
    return found


def _foretold(trigger: PlannedTrigger, due: Due) -> dict[str, Any]:
    """Return a time to come, with what keeps it from running where something does."""
    shown = {"utc": to_iso(due.nominal), "local": due.fire.local, "note": due.fire.note}
    excluded = None if trigger.left_out is None else trigger.left_out(due.nominal)
    if excluded is not None:
        why = {"outcome": excluded.outcome.value, "reason": excluded.reason.value}
        return {**shown, "note": noted(due.fire, excluded.note).note, **why}
    deferred = None if trigger.deferred is None else trigger.deferred(due.nominal)
    if deferred is None:
        return shown
    why = {"outcome": "planned", "reason": Reason.BLACKOUT.value}
    return {**shown, "note": noted(due.fire, deferred).note, **why}


def is_empty(plan: dict[str, Any]) -> bool:
    """Return whether a plan changes nothing."""
    parts = [plan["triggers"][kind] for kind in ("added", "changed", "removed")]
    parts += [plan["jobs"][kind] for kind in ("added", "changed", "removed")]
    return not any(parts) and not plan["settings"]
