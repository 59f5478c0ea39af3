"""Due rows: when a time trigger is due next, and what to make of a row that has become due.

`settle` is pure: the timer loop calls it for each due row and writes what it says in one transaction. The usual case,
a fire on time with nothing else due, costs two looks at the calendar; a year of missed fires costs a bounded number
of steps.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from workflow_scheduler.core.reasons import Outcome, Reason
from workflow_scheduler.core.time.exclusion import exclusion_of
from workflow_scheduler.core.time.fire import Fire, noted
from workflow_scheduler.core.time.late import Catchup, LatePolicy, policy_of, skipped_of
from workflow_scheduler.core.time.overdue import Rules, Stretch, collect
from workflow_scheduler.core.time.timer import Due, Timer, TimerType

__all__ = (
    "Due", "Settlement", "Start", "Stretch", "Timer", "TimerType", "Unfired", "next_due", "resume", "settle",
)  # fmt: skip


class Start(msgspec.Struct, frozen=True, gc=False):
    """A run to start now for `fire`, which was due at `fire_at`; `coalesced` missed fires are covered by it."""

    fire: Fire
    fire_at: int
    coalesced: int = 0


class Unfired(NamedTuple):
    """A fire that starts no run, and why."""

    fire: Fire
    outcome: Outcome
    reason: Reason


class Settlement(msgspec.Struct, frozen=True):
    """What a due row leads to: runs to start, fires to record without a run, and the next due time.

    The fires dealt with are those in `fire`, those in `outcomes` and those counted by `stretches`. Where a type
    cannot count and thousands of fires were missed, `next` lies in the past: the row is due again at once.
    """

    fire: tuple[Start, ...]
    outcomes: tuple[Unfired, ...]
    next: Due | None
    stretches: tuple[Stretch, ...] = ()


def next_due(module: TimerType, config: Any, trigger_id: str, after: int, anchor: int) -> Due | None:
    """Return when the trigger is due strictly later than the nominal instant `after`, or None if never again."""
    fire = module.next_fire(config, after, anchor)
    if fire is None:
        return None
    return Timer(module, config, trigger_id, anchor).due(fire, policy_of(config).jitter)


def settle(module: TimerType, config: Any, trigger_id: str, anchor: int, nominal: int, now: int) -> Settlement:
    """Decide what becomes of a row whose next nominal time is `nominal` and which is due at `now`.

    A fire that is late by no more than the grace is on time and starts its own run. Older ones follow `catchup`:
    `none` records them as missed, `latest` lets the newest (or the one on time) cover them all, `all` runs the newest
    `catchup_max` inside `catchup_window` in order. A time that somebody skipped, or that the configuration's exclusion
    leaves out (see core.time.exclusion), is recorded as such in any case and stands for no other.
    """
    timer = Timer(module, config, trigger_id, anchor)
    policy = policy_of(config)
    first = timer.due(timer.at(nominal), policy.jitter)
    if first.fire_at > now:
        return Settlement((), (), first)
    if now - first.fire_at <= policy.grace:
        following = timer.after(nominal)
        upcoming = None if following is None else timer.due(following, policy.jitter)
        if upcoming is None or upcoming.fire_at > now:
            left_out = _left_out(timer, first)
            if left_out is not None:
                return Settlement((), (left_out,), upcoming)
            return Settlement((Start(first.fire, first.fire_at),), (), upcoming)
    return _settle_late(timer, first, Rules(policy, now, Reason.MISSED_DOWN))


def resume(
    timer: Timer, nominal: int, now: int, missed: Catchup = "none", cause: Reason = Reason.MISSED_PAUSED
) -> Settlement:
    """Decide what becomes of the fires that fell due while a trigger was paused, from `nominal` to `now`.

    Whether a time belongs to the pause is a matter of the nominal time, as all windows are: jitter does not carry it
    out. By default none of them runs, and the next slot after `now` is not skipped. `cause` is what kept them from
    firing, if it was no pause.
    """
    given = policy_of(timer.config)
    first = timer.due(timer.at(nominal), 0)
    if nominal > now:
        return Settlement((), (), timer.due(first.fire, given.jitter))
    settled = _settle_late(timer, first, Rules(LatePolicy(0, -1, missed, given.window, given.most), now, cause))
    upcoming = None if settled.next is None else timer.due(settled.next.fire, given.jitter)
    return msgspec.structs.replace(settled, next=upcoming)


def _settle_late(timer: Timer, first: Due, rules: Rules) -> Settlement:
    policy = rules.policy
    overdue = collect(timer, first, rules)
    judged = [(due, _left_out(timer, due)) for due in overdue.listed]
    left_out = [unfired for _, unfired in judged if unfired is not None]
    listed = [due for due, unfired in judged if unfired is None]
    on_time = [due for due in listed if rules.now - due.fire_at <= policy.grace][-policy.most :]
    late = listed[: len(listed) - len(on_time)]
    run = _caught_up(late, rules, covered=bool(on_time))
    running = {due.nominal for due in run}
    outcomes = tuple(
        Unfired(due.fire, *rules.fate(inside=due.nominal >= rules.opening))
        for due in late
        if due.nominal not in running
    )
    starts = [Start(due.fire, due.fire_at) for due in (*run, *on_time)]
    if starts:
        merged = sum(item.outcome is Outcome.ABSORBED for item in outcomes)
        merged += sum(stretch.count for stretch in overdue.older if stretch.outcome is Outcome.ABSORBED)
        starts[0] = Start(starts[0].fire, starts[0].fire_at, merged)
    unfired = sorted((*left_out, *outcomes), key=lambda one: one.fire.utc)
    return Settlement(tuple(starts), tuple(unfired), overdue.upcoming, overdue.older)


def _left_out(timer: Timer, due: Due) -> Unfired | None:
    """Return what is recorded of a fire that somebody skipped or an exclusion leaves out; None where it may run."""
    if due.nominal in skipped_of(timer.config):
        return Unfired(due.fire, Outcome.SKIPPED, Reason.SKIPPED_BY_HAND)
    exclusion = exclusion_of(timer.config)
    excluded = None if exclusion is None else exclusion.of(due.nominal)
    if excluded is None:
        return None
    return Unfired(noted(due.fire, excluded.note), excluded.outcome, excluded.reason)


def _caught_up(late: list[Due], rules: Rules, *, covered: bool) -> list[Due]:
    """Return the late fires that run; under `latest` none does where one on time covers them."""
    inside = [due for due in late if due.nominal >= rules.opening]
    if rules.policy.catchup == "all":
        return inside[-rules.policy.most :]
    return inside[-1:] if rules.policy.catchup == "latest" and not covered else []
