"""Overdue fires: the newest are listed, the older ones only counted, so that any downtime costs a bounded time."""

from __future__ import annotations

from itertools import groupby
from typing import NamedTuple

import msgspec

from workflow_scheduler.core.reasons import Outcome, Reason
from workflow_scheduler.core.time import pieces as pieces_of
from workflow_scheduler.core.time.exclusion import Exclusion
from workflow_scheduler.core.time.late import LatePolicy
from workflow_scheduler.core.time.pieces import Piece
from workflow_scheduler.core.time.skipped import left_out_between
from workflow_scheduler.core.time.timer import Due, Timer

LISTED = 100
FEW = 50
PORTION = 2000


class Stretch(msgspec.Struct, frozen=True, gc=False):
    """`count` fires from `first` to `last` (nominal instants) that are too many to list; none starts a run.

    `note` says why, where the reason alone does not.
    """

    first: int
    last: int
    count: int
    outcome: Outcome
    reason: Reason
    note: str | None = None


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
    returned as counted, `listed` is empty and `upcoming` is due already. What an exclusion leaves out is listed as
    well where few fires are due; where many are, it is counted, and `listed` has the newest of the others.
    """
    limit = PORTION
    if timer.countable:
        few = _few(rules)
        limit = few if timer.between(first.nominal, rules.now) < few else 1
    listed, upcoming = _walk(timer, first, rules, limit)
    if upcoming is None or upcoming.fire_at > rules.now:
        return Overdue(listed, upcoming)
    exclusion = left_out_between(timer.config, first.nominal, rules.now)
    if exclusion is not None:
        if timer.countable:
            return _cut(timer, first, rules, exclusion)
        return _sorted_out(listed, upcoming, rules, exclusion)
    if not timer.countable:
        carried = max(LISTED, rules.policy.most) + 1
        return Overdue([], listed[-carried], _portion(listed[:-carried], rules))
    keep = _kept(timer, rules)
    start = timer.newest(first.nominal, rules.now, keep)
    fire = timer.after(start - 1)
    assert fire is not None
    listed, upcoming = _walk(timer, timer.due(fire, rules.policy.jitter), rules, keep)
    return Overdue(listed, upcoming, _counted(timer, first.nominal, start - 1, rules))


def _few(rules: Rules) -> int:
    """Return how many due fires are listed as they are, each with a record of its own; of more, the newest are."""
    return max(LISTED, rules.policy.most) + 1 if rules.policy.catchup == "all" else FEW


def _kept(timer: Timer, rules: Rules) -> int:
    """Return how many of the newest of many due fires may run themselves; a million others cost a record each.

    One is to spare for the newest nominal time, which may still wait for its jitter.
    """
    policy = rules.policy
    if policy.catchup == "all":
        return max(LISTED, policy.most) + 1
    on_time = timer.between(rules.now - max(policy.grace, 0) - policy.jitter - 1, rules.now)
    return min(on_time, policy.most) + 2


def _cut(timer: Timer, first: Due, rules: Rules, exclusion: Exclusion) -> Overdue:
    """Return what an exclusion leaves of many due fires of a type that can count."""
    keep = _kept(timer, rules)
    pieces, following = pieces_of.cut(timer, exclusion, first.nominal, rules.now)
    free = sum(piece.number for piece in pieces if piece.excluded is None)
    carried = keep if following is None else min(keep, free // 2)
    older, recent = pieces_of.split(timer, pieces, carried)
    stretches = [one for piece in older for one in _stretches(timer, piece, rules)]
    if following is not None:
        start = recent[0].first if recent else following
        return Overdue([], timer.due(timer.at(start), rules.policy.jitter), tuple(stretches))
    listed: list[Due] = []
    fire = timer.after(rules.now)
    upcoming = None if fire is None else timer.due(fire, rules.policy.jitter)
    for piece in recent:
        if piece.excluded is not None:
            stretches += _stretches(timer, piece, rules)
            continue
        dues, after = _walk(timer, timer.due(timer.at(piece.first), rules.policy.jitter), rules, piece.number)
        listed += dues
        if len(dues) < piece.number:
            upcoming = after  # the newest nominal time has passed and waits for its jitter
    return Overdue(listed, upcoming, tuple(stretches))


def _stretches(timer: Timer, piece: Piece, rules: Rules) -> tuple[Stretch, ...]:
    if piece.excluded is None:
        return _counted(timer, piece.first, piece.end, rules)
    last = piece.first if piece.number == 1 else timer.newest(piece.first, piece.end, 1)
    return (
        Stretch(piece.first, last, piece.number, piece.excluded.outcome, piece.excluded.reason, piece.excluded.note),
    )


def _sorted_out(listed: list[Due], upcoming: Due, rules: Rules, exclusion: Exclusion) -> Overdue:
    """Return the oldest portion of many due fires of a type that cannot count, all but the newest free ones dealt with.

    At least one free fire stays, if there is one, for a later portion may have none that could stand for the others.
    """
    answers = [exclusion.of(due.nominal) for due in listed]
    free = [number for number, answer in enumerate(answers) if answer is None]
    carried = min(max(LISTED, rules.policy.most) + 1, max(1, len(free) // 2)) if free else 0
    place = free[-carried] if carried else len(listed)
    found: list[Stretch] = []
    for answer, run in groupby(range(place), key=answers.__getitem__):
        dues = [listed[number] for number in run]
        if answer is None:
            found += _portion(dues, rules)
        else:
            facts = answer.outcome, answer.reason, answer.note
            found.append(Stretch(dues[0].nominal, dues[-1].nominal, len(dues), *facts))
    return Overdue([], listed[place] if carried else upcoming, tuple(found))


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
