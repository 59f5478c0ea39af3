"""The matcher: for one event and one candidate trigger, what is to become of it, and why."""

from __future__ import annotations

import msgspec

from workflow_scheduler.core.dependencies.rounds import MISSED
from workflow_scheduler.core.match.released import is_released
from workflow_scheduler.core.match.verdict import TRUE, Predicate, Verdict
from workflow_scheduler.core.model.event import Event, EventView
from workflow_scheduler.core.model.trigger import Mode, Trigger
from workflow_scheduler.core.reasons import Outcome, Reason
from workflow_scheduler.core.shaping.shape import is_due
from workflow_scheduler.core.time.clock import SECOND_US
from workflow_scheduler.pipeline.candidates import Bucket, CandidateCache, Compiled


class Judgement(msgspec.Struct, frozen=True, gc=False):
    """The result for one event and one trigger, before it is recorded."""

    outcome: Outcome
    reason: Reason
    verdict: Verdict


_MATCHED = Judgement(Outcome.RUN_STARTED, Reason.MATCHED, TRUE)
_UNKNOWN = {
    "skip": (Outcome.FILTERED, Reason.UNKNOWN_SKIPPED),
    "hold": (Outcome.HELD, Reason.UNKNOWN_HELD),
    "fire": (Outcome.RUN_STARTED, Reason.UNKNOWN_FIRED),
}


def judge(compiled: Compiled, view: EventView, now: int) -> Judgement:
    """Judge one event for one compiled trigger: filters first, then the state of trigger and workflow.

    Never raises: what cannot be evaluated is unknown, with the reason as a predicate.
    """
    if compiled.error is not None:
        line = Predicate("configuration", "a readable configuration", compiled.error, None)
        return Judgement(Outcome.FILTERED, Reason.MALFORMED, Verdict(result=None, predicates=(line,)))
    if is_due(view.event):
        return _state(compiled.trigger, view.event, _MATCHED)  # its events were judged when they came
    try:
        verdict: Verdict = compiled.module.matches(compiled.config, view)
        found = _combine(compiled, view, verdict, now)
        shape = compiled.trigger.shape
        return found if shape is None or shape.ttl is None else _in_time(found, view.event, shape.ttl, now)
    except Exception as error:  # noqa: BLE001 -- a fault in one plug-in must not stop the other triggers' decisions
        line = Predicate("matches", "a decision", f"{type(error).__name__}: {error}", None)
        return Judgement(Outcome.FILTERED, Reason.MALFORMED, Verdict(result=None, predicates=(line,)))


def _combine(compiled: Compiled, view: EventView, verdict: Verdict, now: int) -> Judgement:
    """Add the trigger's condition to what its type says; a condition that is false or fails has the last word."""
    trigger = compiled.trigger
    result, lines = verdict.result, verdict.predicates
    fallback, why = verdict.fallback, None
    over = compiled.joins and view.event.type == MISSED  # the conditions of its ends were judged when they came
    if compiled.pattern is not None and result is not False and not over:
        line = compiled.pattern.judge(view)
        lines = (*lines, line)
        if line.verdict is not True:
            result, why = False, Reason.PATTERN_FALSE
    if compiled.condition is not None and result is not False and not over:
        line, failed = compiled.condition.evaluate(view, trigger, now)
        lines = (*lines, line)
        if line.verdict is not True:
            result, fallback = line.verdict, None
            why = Reason.CONDITION_FALSE if line.verdict is False else Reason.CONDITION_ERROR if failed else None
    if result is True and not lines:
        return _state(trigger, view.event, _MATCHED)
    whole = Verdict(result=result, predicates=lines)
    if result is False:
        return Judgement(Outcome.FILTERED, why or Reason.PREDICATE_FALSE, whole)
    if result is None:
        policy = fallback if trigger.on_unknown == "skip" and fallback is not None else trigger.on_unknown
        outcome, reason = _UNKNOWN["fire" if policy == "hold" and is_released(view.event) else policy]
        if outcome is Outcome.RUN_STARTED:
            return _state(trigger, view.event, Judgement(outcome, reason, whole))
        return Judgement(outcome, why or reason, whole)
    return _state(trigger, view.event, Judgement(Outcome.RUN_STARTED, Reason.MATCHED, whole))


def _in_time(found: Judgement, event: Event, ttl: int, now: int) -> Judgement:
    """Let an event that came too late start nothing; a replay is wanted although it is old."""
    if found.outcome is not Outcome.RUN_STARTED or event.replay_of is not None or now - event.time <= ttl:
        return found
    line = Predicate(
        "ttl", f"at most {ttl / SECOND_US:g} s old", f"{(now - event.time) / SECOND_US:g} s", verdict=False
    )
    lines = (*found.verdict.predicates, line)
    return Judgement(Outcome.SKIPPED, Reason.EXPIRED, Verdict(result=found.verdict.result, predicates=lines))


def _state(trigger: Trigger, event: Event, matched: Judgement) -> Judgement:
    if trigger.mode is not Mode.ENABLED:
        if trigger.mode is Mode.SUSPENDED:
            return Judgement(Outcome.SUSPENDED, Reason.TRIGGER_SUSPENDED, matched.verdict)
        return Judgement(Outcome.SKIPPED, Reason.TRIGGER_DISABLED, matched.verdict)
    if trigger.workflow_paused and event.provider != "manual":
        return Judgement(Outcome.SKIPPED, Reason.WORKFLOW_PAUSED, matched.verdict)
    if event.provider == "manual" and matched.reason is Reason.MATCHED and _rests(trigger, event):
        return Judgement(Outcome.RUN_STARTED, Reason.STARTED_WHILE_PAUSED, matched.verdict)
    if event.depth and _loops(trigger, event):
        reason = Reason.DEPTH_EXCEEDED if event.depth > trigger.max_depth else Reason.OWN_FAILURE
        return Judgement(Outcome.LOOP_BLOCKED, reason, matched.verdict)
    return matched


def _rests(trigger: Trigger, event: Event) -> bool:
    """Tell whether the workflow, or the schedule that a person starts beside its times, was paused."""
    if trigger.workflow_paused:
        return True
    return event.attributes != b"{}" and bool(msgspec.json.decode(event.attributes).get("paused"))


def _loops(trigger: Trigger, event: Event) -> bool:
    if event.depth > trigger.max_depth:
        return True
    return event.type == "workflow_failed" and event.subject == trigger.workflow_id


class Matcher:
    """Finds candidates and judges them; the part of the matching that other rooms may use."""

    def __init__(self, cache: CandidateCache) -> None:
        """Judge with the compiled triggers of `cache`."""
        self.cache = cache

    def judge(self, trigger: Trigger, view: EventView, now: int) -> Judgement:
        """Judge one event for a trigger that is not, or not yet, live (dry runs and explanations)."""
        return judge(self.cache.compile(trigger), view, now)

    async def candidates(
        self, tenant_id: str, provider: str, index_keys: tuple[str, ...], sub_keys: tuple[str, ...] = ("",)
    ) -> list[Trigger]:
        """Return the live triggers that an event with these keys would be judged for."""
        probe = Event(
            id="",
            tenant_id=tenant_id,
            provider=provider,
            source="",
            type="",
            event_key="",
            time=0,
            received_at=0,
            index_keys=index_keys,
            sub_keys=sub_keys,
        )
        bucket: Bucket = await self.cache.find(probe)
        return [compiled.trigger for compiled in bucket]
