"""Rounds: the ends that have arrived and wait for others, and what one more end changes.

A round is what may become one run. Its state is when each member ended; where a window moves with what arrives, an end
that no longer fits closes the round and opens the next one.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from workflow_scheduler.core.dependencies.need import Need, holds
from workflow_scheduler.core.dependencies.window import Kind, Window, bounds
from workflow_scheduler.core.time.clock import DAY_US, SECOND_US

MISSED = "dependency_missed"
"""The type of the event that says that a window is over; the trigger itself hears it where `on_miss` is `run`."""
OPEN = 0
"""The number of the round that takes what arrives, where windows move; fixed windows are numbered by their begin."""
LATE_US = 60 * SECOND_US
FORGOTTEN_US = DAY_US
ALONE_US = 30 * DAY_US


class Rule(msgspec.Struct, frozen=True):
    """What a trigger waits for. `handed` are members that are not waited for but handed on; `label` names the rule."""

    need: Need
    label: str
    handed: tuple[str, ...] = ()
    window: Window | None = None
    on_miss: str = "forget"
    correlate_by: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Every member."""
        return (*self.need.names, *self.handed)


class Step(msgspec.Struct, frozen=True):
    """What an end changes: `kept` is the round with it (member -> when it ended).

    `late`: the end is too old for the round, which stays as it was. `over`: what was there before is a round of its
    own, which is missed. `gone`: members that have become too old and are forgotten.
    """

    kept: Mapping[str, int]
    complete: bool = False
    late: bool = False
    over: bool = False
    gone: frozenset[str] = frozenset()


def number_of(rule: Rule, at: int) -> int:
    """Return the number of the round that an end at `at` belongs to."""
    window = rule.window
    return bounds(window, at)[0] if window is not None and window.fixed else OPEN


def step(rule: Rule, before: Mapping[str, int], names: tuple[str, ...], at: int) -> Step:
    """Return what an end at `at`, which counts for the members `names`, makes of a round."""
    arriving = {name: max(at, before.get(name, at)) for name in names}
    together = {**before, **arriving}
    window = rule.window
    if window is None or window.fixed or not before:
        return Step(together, complete=holds(rule.need, together))
    oldest, newest = min(before.values()), max(before.values())
    if window.kind is Kind.SESSION:
        fits, late = oldest - window.length <= at <= newest + window.length, at < oldest
    else:
        fits, late = newest - window.length <= at <= oldest + window.length, at < newest
    if not fits and late:
        return Step(before, late=True)
    if fits:
        return Step(together, complete=holds(rule.need, together))
    if window.kind is Kind.SLIDING and rule.on_miss == "forget":
        fresh = {name: when for name, when in together.items() if when >= at - window.length}
        return Step(fresh, complete=holds(rule.need, fresh), gone=frozenset(together) - frozenset(fresh))
    return Step(arriving, complete=holds(rule.need, arriving), over=True)


def due(rule: Rule, kept: Mapping[str, int], now: int, *, single: bool) -> int | None:
    """Return when the round is over if nothing completes it; None where it waits for ever.

    What became known late is given a minute for the others to become known as well. `single`: rounds are told apart by
    a value; those without a window are given up in the end, since new values come for ever.
    """
    if not kept:
        return None
    window = rule.window
    if window is None:
        return max(kept.values()) + ALONE_US if single else None
    end = end_of(window, kept)
    if rule.on_miss == "forget":
        return max(end, now) + FORGOTTEN_US
    return end if now - max(kept.values()) <= LATE_US else max(end, now + LATE_US)


def end_of(window: Window, kept: Mapping[str, int]) -> int:
    """Return the end of the window that the round lies in."""
    if window.fixed:
        return bounds(window, next(iter(kept.values())))[1]
    newest = max(kept.values())
    return (newest if window.kind is Kind.SESSION else min(kept.values())) + window.length
