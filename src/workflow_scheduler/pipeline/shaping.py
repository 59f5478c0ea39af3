"""Shaping: the events of a trigger that start fewer runs than there are events, or start them later.

Everything is decided in the transaction of the event, under a lock on the trigger (or on the workflow whose triggers
count together). What waits is a row; `sources/shaped.py` brings it back as an event when its time has come.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from workflow_scheduler.core.dependencies.values import correlation_of
from workflow_scheduler.core.match.verdict import Predicate
from workflow_scheduler.core.model.decision import Decision
from workflow_scheduler.core.model.event import Event, EventView
from workflow_scheduler.core.model.run import Run
from workflow_scheduler.core.ports.store import Work
from workflow_scheduler.core.reasons import Outcome, Reason
from workflow_scheduler.core.shaping.shape import WAITS, Gather, Rate, Shape, admitted, due_of, is_due, is_full, slot
from workflow_scheduler.core.time.clock import to_iso
from workflow_scheduler.pipeline.candidates import Compiled
from workflow_scheduler.pipeline.intents import Ask, intent, settled
from workflow_scheduler.stores.portable import shapes, turns
from workflow_scheduler.stores.portable.shapes import Gathered, Group, GroupId

_encode = msgspec.json.encode
Taken = tuple[Decision, Run | None]


class Said(msgspec.Struct, frozen=True, gc=False):
    """The attributes of an event that says that the time of a group has come: which group that was, and when."""

    owner: str
    kind: str
    group: str
    due_at: int
    count: int
    overlap_key: str | None = None


class _Asked(msgspec.Struct, frozen=True, gc=False):
    """One event that asks for a run of a trigger with a shape."""

    event: Event
    ask: Ask
    decision: Decision
    run: Run
    now: int
    owner: str
    view: EventView

    @property
    def compiled(self) -> Compiled:
        return self.ask.compiled


def owners(compiled: Compiled) -> set[str]:
    """Return what the state of a trigger's shape belongs to: itself, and its workflow where that counts."""
    trigger, shape = compiled.trigger, compiled.trigger.shape
    if shape is None:
        return set()
    rates = [rate for rate in (shape.rate_limit, shape.throttle) if rate is not None]
    return {trigger.id, *(trigger.workflow_id for rate in rates if rate.scope == "workflow")}


def lock(dialect: str, tenant_id: str, owner: str) -> Work[None]:
    """Hold the state of an owner until the end of the transaction."""
    yield from turns.lock(dialect, (tenant_id, f"shape/{owner}"))


def bring(event: Event, ask: Ask, decision: Decision, run: Run, moment: tuple[int, str]) -> Work[Taken]:
    """Take one event that would start `run`: start it, keep the event for a later run, or start nothing."""
    now, owner = moment
    asked = _Asked(event, ask, decision, run, now, owner, EventView(event))
    shape = ask.compiled.trigger.shape
    assert shape is not None
    if is_due(event):
        return (yield from _come_due(asked, shape))
    taken = yield from _refused(asked, shape)
    if taken is not None:
        return taken
    if shape.gather is not None:
        decision, started = yield from _gather(asked, shape.gather)
        if started is None:
            return decision, None
        asked = replace(asked, decision=decision, run=started)
    if shape.throttle is not None:
        return (yield from _throttled(asked, shape.throttle))
    return asked.decision, asked.run


def _refused(asked: _Asked, shape: Shape) -> Work[Taken | None]:
    """Return the decision about an event that starts nothing: it repeats one, or is one too many."""
    now = asked.now
    if shape.unique is not None:
        place, value = _place(asked, "unique", asked.compiled.trigger.id)
        found = yield from shapes.find(place)
        if found is not None and found.due_at > now:
            line = Predicate("unique", "a value that did not come lately", _shown(value), verdict=False,
                             note=f"it came at {to_iso(found.opened_at)}")  # fmt: skip
            return settled(asked.decision, Outcome.DUPLICATE, Reason.REPEATED, [line]), None
        yield from shapes.put(Group(place, asked.compiled.trigger.id, value, now, now + shape.unique.wait))
    rate = shape.rate_limit
    if rate is not None:
        place, value = _place(asked, "rate_limit", _counts(asked, rate))
        found = yield from shapes.find(place)
        may, starts = admitted(rate, () if found is None else found.starts, now)
        if not may:
            line = Predicate("rate_limit", _written(rate), len(starts), verdict=False, note=_about(value))
            return settled(asked.decision, Outcome.SKIPPED, Reason.RATE_EXCEEDED, [line]), None
        yield from shapes.put(
            Group(place, asked.compiled.trigger.id, value, starts[0], now + rate.per, starts=tuple(starts))
        )
    return None


def _gather(asked: _Asked, rule: Gather) -> Work[Taken]:
    """Add the event to its group; return the run of all of them where that starts now."""
    now, trigger = asked.now, asked.compiled.trigger
    place, value = _place(asked, rule.kind, trigger.id)
    found = yield from shapes.find(place)
    opened_at, count, size, depth = now, 0, 0, 0
    if found is not None:
        opened_at, count, size, depth = found.opened_at, found.count, found.bytes, found.depth
    kept: list[Gathered] = []
    one = Gathered(asked.event.id, now, _told(asked.event))
    if rule.kind == "threshold":
        yield from shapes.drop_before(place, now - rule.wait)
        kept = yield from shapes.events(place)
        count, size = len(kept), sum(len(before.data) for before in kept)
    depth = max(depth, asked.event.depth)
    # A group whose time has come takes nothing more: what is read of it outside of a transaction stays all of it.
    over = found is not None and found.due_at <= now and rule.kind in ("debounce", "batch")
    if over or is_full(rule, count + 1, size + len(one.data)):
        events = kept if rule.kind == "threshold" else (yield from shapes.events(place))
        yield from shapes.remove(place)
        line = Predicate(rule.kind, rule.size, count + 1, verdict=True, note=_about(value))
        run = _run(asked, gathered_input([*events, one], value), depth)
        return settled(asked.decision, Outcome.RUN_STARTED, Reason.MATCHED, [line], run), run
    if rule.kind != "absence":
        yield from shapes.add(place, one)
    due_at = due_of(rule, opened_at, now)
    opened_at = now if rule.kind == "absence" else opened_at
    yield from shapes.put(
        Group(place, trigger.id, value, opened_at, due_at, count + 1, size + len(one.data), depth,
              overlap_key=asked.ask.overlap_key)
    )  # fmt: skip
    wanted = rule.size if rule.kind in ("batch", "threshold") else None
    line = Predicate(rule.kind, wanted, count + 1, verdict=None, note=f"looked at again {to_iso(due_at)}")
    return settled(asked.decision, Outcome.ABSORBED, WAITS[rule.kind], [line]), None


def _throttled(asked: _Asked, rate: Rate) -> Work[Taken]:
    """Start the run now, or keep it until the rate lets it start."""
    now, trigger = asked.now, asked.compiled.trigger
    place, value = _place(asked, "throttle", _counts(asked, rate))
    found = yield from shapes.find(place)
    at, starts = slot(rate, () if found is None else found.starts, now)
    yield from shapes.put(Group(place, trigger.id, value, starts[0], at + rate.per, starts=tuple(starts)))
    if at <= now:
        return asked.decision, asked.run
    held = GroupId(place.tenant_id, trigger.id, "throttle", f"event:{asked.event.id}")
    yield from shapes.put(
        Group(held, trigger.id, value, now, at, 1, 0, asked.run.depth, overlap_key=asked.run.overlap_key)
    )
    yield from shapes.add(held, Gathered(asked.event.id, now, bytes(asked.run.input or b"null")))
    line = Predicate("throttle", _written(rate), len(starts), verdict=True, note=f"it starts {to_iso(at)}")
    return settled(asked.decision, Outcome.DEFERRED, Reason.THROTTLED, [line]), None


def _come_due(asked: _Asked, shape: Shape) -> Work[Taken]:
    """Start the run of a group whose time has come, unless it changed meanwhile; a replay starts it again."""
    said = msgspec.json.decode(asked.event.attributes, type=Said)
    if asked.event.replay_of is None:
        place = GroupId(asked.event.tenant_id, said.owner, said.kind, said.group)
        found = yield from shapes.find(place)
        if found is None or (found.due_at, found.count) != (said.due_at, said.count):
            line = Predicate(said.kind, "the group as it was", None, verdict=False, note="it changed, or ran already")
            return settled(asked.decision, Outcome.FILTERED, Reason.PREDICATE_FALSE, [line]), None
        yield from shapes.remove(place)
    line = Predicate(said.kind, to_iso(said.due_at), to_iso(asked.now), verdict=True)
    decision = settled(asked.decision, Outcome.RUN_STARTED, Reason.MATCHED, [line], asked.run)
    if shape.throttle is not None and said.kind != "throttle":
        return (yield from _throttled(replace(asked, decision=decision, view=_last(asked.view)), shape.throttle))
    return decision, asked.run


def _last(view: EventView) -> EventView:
    """Return the last event of the group that a due event is about, as far as the run is told of it."""
    events = view.data.get("events")
    if not events:
        return view
    told = events[-1]
    return EventView(
        replace(view.event, type=told["type"], source=told["source"], subject=told["subject"],
                data=_encode(told["data"]))
    )  # fmt: skip


def gathered_input(events: list[Gathered], value: str | None) -> bytes:
    """Return the input of a run for several events."""
    told = {"events": [msgspec.Raw(one.data) for one in events], "count": len(events)}
    return _encode(told if value is None else {**told, "key": msgspec.Raw(value.encode())})


def _told(event: Event) -> bytes:
    """Return what a run is told of one of its events."""
    return _encode({
        "id": event.id, "type": event.type, "source": event.source, "subject": event.subject,
        "time": to_iso(event.time), "data": msgspec.Raw(bytes(event.data)),
    })  # fmt: skip


def _run(asked: _Asked, content: bytes, depth: int) -> Run:
    event = replace(asked.event, input=content, depth=depth)
    return intent(event, asked.compiled, asked.now, asked.owner, asked.ask.overlap_key)


def _place(asked: _Asked, kind: str, owner: str) -> tuple[GroupId, str | None]:
    keys = asked.compiled.shape_keys
    value = None if keys is None else keys.value(kind, asked.view, asked.now)
    return GroupId(asked.event.tenant_id, owner, kind, correlation_of(value)), value


def _counts(asked: _Asked, rate: Rate) -> str:
    trigger = asked.compiled.trigger
    return trigger.workflow_id if rate.scope == "workflow" else trigger.id


def _written(rate: Rate) -> str:
    return f"{rate.count} in {rate.per / 1_000_000:g} s"


def _shown(value: str | None) -> Any:
    return None if value is None else msgspec.json.decode(value)


def _about(value: str | None) -> str | None:
    return None if value is None else f"for {value[:100]}"
