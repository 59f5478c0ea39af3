"""Overdue fires: the newest are listed, the older ones only counted, so that any downtime costs a bounded time."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from workflow_scheduler.core.reasons import Outcome, Reason
from workflow_scheduler.core.time.late import LatePolicy
from workflow_scheduler.core.time.timer import Due, Timer

LISTED = 100
PORTION = 2000


class Stretch(msgspec.Struct, frozen=True, gc=False):
    """`count` fires from `first` to `last` (nominal instants) that are too many to list; none starts a run."""

    first: int
    last: int
    count: int
    outcome: Outcome
    reason: Reason


class Overdue(NamedTuple):
    """The newest overdue fires, oldest first; the fire after them; and the older ones, counted."""

    listed: list[Due]
    upcoming: Due | None
    older: tuple[Stretch, ...] = ()


class Rules(NamedTuple):
    """The late-fire policy at one moment; `cause` is the reason recorded where nothing is caught up."""

    policy: LatePolicy
    now: int
    cause: Reason

    @property
    def opening(self) -> int:
        """The instant before which a missed fire is never run."""
        return self.now - self.policy.window

    def fate(self, *, inside: bool) -> tuple[Outcome, Reason]:
        """Return what becomes of a missed fire that does not run itself; `inside` the catch-up window or before it."""
        if self.policy.catchup == "none":
            return Outcome.SKIPPED, self.cause
        if self.policy.catchup == "latest" and inside:
            return Outcome.ABSORBED, Reason.COALESCED
        return Outcome.SKIPPED, Reason.MISSED_WINDOW


def collect(timer: Timer, first: Due, rules: Rules) -> Overdue:
    """Return the fires from `first` on that are due now.

    Where the type cannot count and more than 2,000 fires are due, only the oldest portion is dealt with: it is
    returned as counted, `listed` is empty and `upcoming` is due already.
    """
    keep = max(LISTED, rules.policy.most) + 1
    listed, upcoming = _walk(timer, first, rules, keep if timer.countable else PORTION)
    if upcoming is None or upcoming.fire_at > rules.now:
        return Overdue(listed, upcoming)
    if not timer.countable:
        return Overdue([], listed[-keep], _portion(listed[:-keep], rules))
    # The newest nominal time may still wait for its jitter; `keep` has one to spare for it.
    start = timer.newest(first.nominal, rules.now, keep)
    fire = timer.after(start - 1)
    assert fire is not None
    listed, upcoming = _walk(timer, timer.due(fire, rules.policy.jitter), rules, keep)
    return Overdue(listed, upcoming, _counted(timer, first.nominal, start - 1, rules))


def _walk(timer: Timer, first: Due, rules: Rules, limit: int) -> tuple[list[Due], Due | None]:
    """Return up to `limit` due fires from `first` on, and the fire after them."""
    listed: list[Due] = []
    due: Due | None = first
    while due is not None and due.fire_at <= rules.now and len(listed) < limit:
        listed.append(due)
        fire = timer.after(due.nominal)
        due = None if fire is None else timer.due(fire, rules.policy.jitter)
    return listed, due


def _portion(dues: list[Due], rules: Rules) -> tuple[Stretch, ...]:
    before = [due.nominal for due in dues if due.nominal < rules.opening]
    inside = [due.nominal for due in dues if due.nominal >= rules.opening]
    return tuple(
        Stretch(part[0], part[-1], len(part), *rules.fate(inside=part is inside)) for part in (before, inside) if part
    )


def _counted(timer: Timer, first: int, until: int, rules: Rules) -> tuple[Stretch, ...]:
    """Return the fires from `first` (which is one, whatever the calendar says) to `until` as one or two stretches."""
    last = timer.newest(first, until, 1)
    total = 1 + timer.between(first, until)
    opening = rules.opening
    if first >= opening or last < opening or rules.policy.catchup != "latest":
        return (Stretch(first, last, total, *rules.fate(inside=first >= opening)),)
    inside = timer.between(opening - 1, last)
    split = timer.newest(opening, last, inside)
    before = timer.newest(first, opening - 1, 1)
    return (
        Stretch(first, before, total - inside, *rules.fate(inside=False)),
        Stretch(split, last, inside, *rules.fate(inside=True)),
    )
