"""The shape of a trigger on a virtual clock: what events that were received would have started together or later."""

from __future__ import annotations

from typing import Any

import msgspec

from workflow_scheduler.core.model.event import Event, EventView
from workflow_scheduler.core.model.trigger import Trigger
from workflow_scheduler.core.reasons import Outcome, Reason
from workflow_scheduler.core.shaping.keys import ShapeKeys
from workflow_scheduler.core.shaping.shape import WAITS, Gather, Rate, admitted, due_of, is_full, slot


class _Group(msgspec.Struct):
    opened_at: int
    due_at: int
    times: list[int]


class ShapePlay:
    """The groups and rates of one trigger; events are to come in the order in which they were received.

    `runs` is how many runs would have started because the time of a group had come, `later` those that were throttled.
    """

    def __init__(self, trigger: Trigger) -> None:
        """Begin with nothing seen; a trigger without a shape leaves every decision as it is."""
        self._shape = trigger.shape
        self._keys = ShapeKeys(trigger)
        self._groups: dict[str, _Group] = {}
        self._starts: dict[tuple[str, str], list[int]] = {}
        self._seen: dict[str, int] = {}
        self.runs = 0
        self.later = 0

    def decide(self, event: Event, decision: dict[str, Any]) -> dict[str, Any]:
        """Return what becomes of a decision that lets an event through."""
        shape, now = self._shape, event.received_at
        if shape is None or decision["outcome"] != Outcome.RUN_STARTED:
            return decision
        self.settle(now)
        view = EventView(event)
        if shape.unique is not None:
            value = self._value("unique", view, now)
            if self._seen.get(value, 0) > now:
                return _as(decision, Outcome.DUPLICATE, Reason.REPEATED)
            self._seen[value] = now + shape.unique.wait
        if shape.rate_limit is not None and not self._may(shape.rate_limit, view, now):
            return _as(decision, Outcome.SKIPPED, Reason.RATE_EXCEEDED)
        if shape.gather is not None and not self._is_whole(shape.gather, event, view):
            return _as(decision, Outcome.ABSORBED, WAITS[shape.gather.kind])
        if shape.throttle is not None:
            key = ("throttle", self._value("throttle", view, now))
            at, self._starts[key] = slot(shape.throttle, self._starts.get(key, []), now)
            if at > now:
                self.later += 1
                return _as(decision, Outcome.DEFERRED, Reason.THROTTLED)
        return decision

    def settle(self, now: int | None = None) -> None:
        """Let the groups run whose time has come; without `now` all of them."""
        for value, group in list(self._groups.items()):
            if now is None or group.due_at <= now:
                del self._groups[value]
                if self._shape is not None and self._shape.gather is not None:
                    self.runs += self._shape.gather.kind != "threshold"

    def _may(self, rate: Rate, view: EventView, now: int) -> bool:
        key = ("rate_limit", self._value("rate_limit", view, now))
        may, starts = admitted(rate, self._starts.get(key, []), now)
        self._starts[key] = starts
        return may

    def _is_whole(self, rule: Gather, event: Event, view: EventView) -> bool:
        """Add the event to its group; return whether that starts its run now."""
        now = event.received_at
        value = self._value(rule.kind, view, now)
        group = self._groups.get(value) or _Group(now, now, [])
        if rule.kind == "threshold":
            group.times = [at for at in group.times if at >= now - rule.wait]
        group.times.append(now)
        if is_full(rule, len(group.times), 0):
            self._groups.pop(value, None)
            return True
        group.due_at = due_of(rule, group.opened_at, now)
        self._groups[value] = group
        return False

    def _value(self, kind: str, view: EventView, now: int) -> str:
        return self._keys.value(kind, view, now) or ""


def _as(decision: dict[str, Any], outcome: Outcome, reason: Reason) -> dict[str, Any]:
    return {**decision, "outcome": outcome.value, "reason": reason.value, "would_start": False}
