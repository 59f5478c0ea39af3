"""Joins: a workflow that waits for several others runs once when they have ended as it asked.

The state is one row per member that has arrived, in rounds (core/dependencies). It is read and written in the
transaction of the event that brings the next member, under a lock on the trigger's row, so that two members that arrive
at once on two instances cannot both be "not the last". What a run used is consumed; the next round begins empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from workflow_scheduler.core.dependencies.need import lacking
from workflow_scheduler.core.dependencies.rounds import (
    FORGOTTEN_US,
    MISSED,
    OPEN,
    Rule,
    due,
    number_of,
    step,
)
from workflow_scheduler.core.dependencies.values import correlation_of, value_of
from workflow_scheduler.core.match.verdict import Predicate
from workflow_scheduler.core.model.decision import Decision
from workflow_scheduler.core.model.event import Event, EventView
from workflow_scheduler.core.model.run import Run
from workflow_scheduler.core.ports.store import Work
from workflow_scheduler.core.reasons import Outcome, Reason
from workflow_scheduler.core.time.clock import to_iso
from workflow_scheduler.pipeline.candidates import Compiled
from workflow_scheduler.pipeline.intents import Ask, intent, settled
from workflow_scheduler.stores.portable import joins
from workflow_scheduler.stores.portable.joins import Member, RoundId

_encode = msgspec.json.encode
lock = joins.lock


class Missing(msgspec.Struct, frozen=True, gc=False):
    """What the event of a missed round says; the last three name the round, and are not told to others."""

    trigger_id: str
    trigger_name: str
    workflow_id: str
    workflow_name: str
    correlation: msgspec.Raw
    missing: str
    arrived: list[str]
    over_at: str
    round: str
    number: int
    due_at: int


class _Moment(msgspec.Struct, frozen=True, gc=False):
    """When the decision is taken, and whose the run is."""

    now: int
    owner: str


def bring(event: Event, ask: Ask, preliminary: Decision, now: int, owner: str) -> Work[tuple[Decision, Run | None]]:
    """Store the members that an event brings; return the decision, and the run when nothing is missing now."""
    rule: Rule = ask.compiled.rule
    moment = _Moment(now, owner)
    if event.type == MISSED:
        return (yield from _make_do(event, ask, preliminary, moment))
    view = EventView(event)
    value, problem = value_of(rule, view, ask.compiled.trigger, now)
    if problem is not None:
        line = Predicate("correlate_by", rule.correlate_by, None, None, problem)
        return settled(preliminary, Outcome.FILTERED, Reason.UNKNOWN_SKIPPED, [line]), None
    number = number_of(rule, event.time)
    place = RoundId(event.tenant_id, ask.compiled.trigger.id, correlation_of(value), number)
    found = yield from joins.find(place)
    if found is not None and found.missed_at is not None:
        line = _outside(event, "the window is over and was missed")
        return settled(preliminary, Outcome.FILTERED, Reason.WINDOW_OVER, [line]), None
    before = {name: one for name, one in (yield from joins.members(place)).items() if name in rule.names}
    arriving = _arriving(event, ask.compiled, view)
    done = step(rule, {name: one.at for name, one in before.items()}, tuple(arriving), event.time)
    if done.late:
        line = _outside(event, "it ended too long before the others")
        return settled(preliminary, Outcome.FILTERED, Reason.WINDOW_OVER, [line]), None
    if done.over:
        yield from _close(rule, place, before, now)
        before = {}
    arrived = {**before, **{name: one for name, one in arriving.items() if one.at >= _at(before, name)}}
    arrived = {name: one for name, one in arrived.items() if name in done.kept}
    lines = [Predicate("correlate_by", rule.correlate_by, _shown(value), verdict=True)] if rule.correlate_by else []
    if done.complete:
        yield from joins.remove(place)
        run = _run(event, ask, arrived, moment, _about(value))
        lines.append(_line(rule, arrived))
        return settled(preliminary, Outcome.RUN_STARTED, Reason.MATCHED, lines, run), run
    yield from joins.put_members(place, arriving.values())
    yield from joins.drop_members(place, sorted(done.gone))
    over_at = due(rule, done.kept, now, single=rule.correlate_by is not None)
    yield from joins.put_round(place, value, min(done.kept.values()), now, over_at)
    lines.append(_line(rule, arrived))
    return settled(preliminary, Outcome.ABSORBED, Reason.WAITING_FOR_MEMBERS, lines), None


def _make_do(event: Event, ask: Ask, preliminary: Decision, moment: _Moment) -> Work[tuple[Decision, Run | None]]:
    """Start the run of a round that was missed with what has arrived, unless somebody else was faster."""
    rule: Rule = ask.compiled.rule
    said = msgspec.json.decode(event.data, type=Missing)
    place = RoundId(event.tenant_id, ask.compiled.trigger.id, said.round, said.number)
    found = yield from joins.find(place)
    arrived = {name: one for name, one in (yield from joins.members(place)).items() if name in rule.names}
    if found is None or found.missed_at is not None or found.due_at != said.due_at or not arrived:
        line = Predicate(rule.label, list(rule.names), sorted(arrived), verdict=False, note="nothing waits any more")
        return settled(preliminary, Outcome.FILTERED, Reason.WINDOW_OVER, [line]), None
    yield from over(rule, place, moment.now)
    about = {**_about(found.value), "missing": [name for name in rule.need.names if name not in arrived]}
    run = _run(event, ask, arrived, moment, about)
    return settled(preliminary, Outcome.RUN_STARTED, Reason.MEMBERS_MISSED, [_line(rule, arrived)], run), run


def over(rule: Rule | None, place: RoundId, now: int) -> Work[None]:
    """Empty a round whose window is over. A fixed window stays known, so that ends that come late open it no more."""
    if rule is not None and rule.window is not None and rule.window.fixed and place.number != OPEN:
        yield from joins.miss(place, now, now + FORGOTTEN_US)
    else:
        yield from joins.remove(place)


def _close(rule: Rule, place: RoundId, before: Mapping[str, Member], now: int) -> Work[None]:
    """Close the round of what was there before: its window ended before the newest end."""
    if rule.on_miss == "forget":
        yield from joins.remove(place)
        return
    number = min(one.at for one in before.values())
    yield from joins.set_aside(place, number if number != OPEN else 1, now)


def _arriving(event: Event, compiled: Compiled, view: EventView) -> dict[str, Member]:
    fields = view.data if isinstance(view.data, dict) else {}
    return {
        name: Member(
            name, event.id, event.cause_run_id, str(fields.get("status")), event.time, event.depth, bytes(event.data)
        )
        for name in compiled.module.arrives(compiled.config, view)
    }


def _at(before: Mapping[str, Member], name: str) -> int:
    return before[name].at if name in before else -(1 << 62)


def _shown(value: str | None) -> Any:
    return None if value is None else msgspec.json.decode(value)


def _about(value: str | None) -> dict[str, Any]:
    return {} if value is None else {"correlation": msgspec.Raw(value.encode())}


def _run(event: Event, ask: Ask, arrived: Mapping[str, Member], moment: _Moment, about: dict[str, Any]) -> Run:
    """Return the run with all members' ends as its input."""
    ends = {name: msgspec.Raw(one.data) for name, one in sorted(arrived.items())}
    depth = max([event.depth, *(one.depth for one in arrived.values())])
    last = msgspec.structs.replace(event, input=_encode({"members": ends, **about}), depth=depth)
    return intent(last, ask.compiled, moment.now, moment.owner, ask.overlap_key)


def _outside(event: Event, note: str) -> Predicate:
    return Predicate("window", "an end inside the window of the others", to_iso(event.time), verdict=False, note=note)


def _line(rule: Rule, arrived: Mapping[str, Member]) -> Predicate:
    missing = lacking(rule.need, arrived)
    note = f"still missing: {missing}" if missing else None
    return Predicate(rule.label, list(rule.names), sorted(arrived), not missing, note)
