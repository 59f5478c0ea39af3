"""From a due row to all that is written about it: events, decisions, run intents, records, and the row's next time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from workflow_scheduler.core.model.trigger import Occurrence, Schedule
from workflow_scheduler.core.ports.store import Accepted, ScheduleAdvance
from workflow_scheduler.core.reasons import Outcome, Reason
from workflow_scheduler.core.time.blackout import Skipping, Window, held_until
from workflow_scheduler.core.time.due import Due, Settlement, Start, Unfired, resume
from workflow_scheduler.core.time.exclusion import excluding
from workflow_scheduler.core.time.late import policy_of
from workflow_scheduler.core.time.payload import clock_event
from workflow_scheduler.core.time.records import Recorder
from workflow_scheduler.core.time.rest import rest_of, settle_row
from workflow_scheduler.core.time.timer import Timer
from workflow_scheduler.core.time.zone import tzdata_version
from workflow_scheduler.pipeline.candidates import Compiled
from workflow_scheduler.pipeline.intents import HAND_OVER_US, decide


class Fired(NamedTuple):
    """What a due row led to; all of it is written in one transaction, under the guard of the advance.

    Where that transaction decides which runs start, it also completes a schedule that has started `most` runs.
    """

    accepted: list[Accepted]
    occurrences: list[Occurrence]
    advance: ScheduleAdvance
    most: int | None = None


def fire(schedule: Schedule, compiled: Compiled, now: int, owner: str, windows: Sequence[Window] = ()) -> Fired:
    """Settle a row that is due at `now` (microseconds); the runs belong to the instance `owner`.

    `windows` are the blackouts of its workflow: nothing starts within one, the row waits for its end. No more runs
    start than `max_fires` leaves; the schedule is completed with the last of them.
    """
    config = compiled.config
    settlement = _settled(schedule, compiled, now, windows)
    held = held_until(windows, now) if settlement.fire else None
    if held is not None:
        return Fired([], [], _postponed(schedule, held))
    most: int | None = getattr(config, "max_fires", None)
    left = None if most is None else most - schedule.fires
    accepted: list[Accepted] = []
    started = 0
    for start in settlement.fire:
        if left is not None and started >= left:
            break
        one = _accepted(compiled, start, now, owner)
        accepted.append(one)
        started += bool(one.runs)
    decided_later = compiled.trigger.overlap is not None
    if left is not None and started >= left:
        settlement = _ended(settlement, len(accepted), settlement.next if decided_later and left > 0 else None)
    accepted = _spread(accepted, settlement, config, now)
    rules = Timer(compiled.module, config, schedule.trigger_id, schedule.anchor)
    recorder = Recorder(schedule.tenant_id, rules, now)
    occurrences = [_record(recorder, start, one, now) for start, one in zip(settlement.fire, accepted, strict=True)]
    advance = _advance(schedule, settlement, now, started)
    return Fired(accepted, occurrences + recorder.unfired(settlement), advance, most if decided_later else None)


def _settled(schedule: Schedule, compiled: Compiled, now: int, windows: Sequence[Window]) -> Settlement:
    """Settle by the rules of the trigger; times that waited for the end of a window as missed ones."""
    module, config = compiled.module, compiled.config
    if not windows:
        return settle_row(module, config, schedule, now)
    skipping = tuple(window for window in windows if window.mode == "skip")
    if skipping:
        config = excluding(config, Skipping(skipping))
    assert schedule.next_nominal is not None
    end = held_until(windows, schedule.next_nominal, "defer")
    resting = schedule.next_nominal <= rest_of(module, config, schedule).until
    if end is None or end > now or resting:
        return settle_row(module, config, schedule, now)
    timer = Timer(module, config, schedule.trigger_id, schedule.anchor)
    return resume(timer, schedule.next_nominal, end - 1, policy_of(config).catchup, Reason.BLACKOUT)


def _postponed(schedule: Schedule, until: int) -> ScheduleAdvance:
    assert schedule.next_fire_at is not None
    return ScheduleAdvance(
        tenant_id=schedule.tenant_id,
        trigger_id=schedule.trigger_id,
        revision=schedule.revision,
        was_fire_at=schedule.next_fire_at,
        next_fire_at=until,
        next_nominal=schedule.next_nominal,
        last_nominal=None,
        last_fired_at=None,
    )


def _accepted(compiled: Compiled, start: Start, now: int, owner: str) -> Accepted:
    event = clock_event(compiled.module, compiled.config, compiled.trigger, start, now)
    return decide(event, (compiled,), now, owner)


def _ended(settlement: Settlement, number: int, following: Due | None) -> Settlement:
    """Return a settlement of which the first `number` fires start; it is the last one, unless one is `following`."""
    beyond = tuple(Unfired(start.fire, Outcome.SKIPPED, Reason.MAX_FIRES) for start in settlement.fire[number:])
    return Settlement(settlement.fire[:number], settlement.outcomes + beyond, following, settlement.stretches)


def _spread(accepted: list[Accepted], settlement: Settlement, config: Any, now: int) -> list[Accepted]:
    """Let the runs of late fires begin one after the other, as `catchup_rate` says; the first begins at once."""
    gap: int | None = getattr(config, "catchup_gap", None)
    grace = policy_of(config).grace
    late = sum(now - start.fire_at > grace for start in settlement.fire)
    if gap is None or late < 2:  # noqa: PLR2004 -- one alone floods nobody
        return accepted
    return [_delayed(one, now + place * gap) if 0 < place < late else one for place, one in enumerate(accepted)]


def _delayed(accepted: Accepted, begin: int) -> Accepted:
    runs = [msgspec.structs.replace(run, next_attempt_at=begin) for run in accepted.runs]
    return msgspec.structs.replace(accepted, runs=runs)


def _record(recorder: Recorder, start: Start, accepted: Accepted, now: int) -> Occurrence:
    decision = accepted.decisions[0]
    outcome, reason = decision.outcome, decision.reason
    if any(run.next_attempt_at is not None and run.next_attempt_at > now + HAND_OVER_US for run in accepted.runs):
        outcome, reason = Outcome.DEFERRED, Reason.RATE_LIMITED
    return recorder.fired(start.fire, outcome, reason, decision.run_id, accepted.event.id)


def _advance(schedule: Schedule, settlement: Settlement, now: int, started: int) -> ScheduleAdvance:
    following = settlement.next
    assert schedule.next_fire_at is not None
    return ScheduleAdvance(
        tenant_id=schedule.tenant_id,
        trigger_id=schedule.trigger_id,
        revision=schedule.revision,
        was_fire_at=schedule.next_fire_at,
        next_fire_at=following.fire_at if following else None,
        next_nominal=following.nominal if following else None,
        last_nominal=settlement.fire[-1].fire.utc if settlement.fire else None,
        last_fired_at=now if settlement.fire else None,
        completed=following is None,
        started=started,
        tzdata=None if schedule.tzdata == tzdata_version() else tzdata_version(),
    )
