"""From judgements to what is written: one decision per candidate, and a run intent for each that starts one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from workflow_scheduler.core.ids import mint
from workflow_scheduler.core.inputs import laid_over
from workflow_scheduler.core.match.verdict import Predicate
from workflow_scheduler.core.model.decision import Decision
from workflow_scheduler.core.model.event import Event, EventView
from workflow_scheduler.core.model.run import Run
from workflow_scheduler.core.model.trigger import Trigger
from workflow_scheduler.core.ports.store import Accepted
from workflow_scheduler.core.reasons import Outcome, Reason
from workflow_scheduler.core.shaping.shape import is_due
from workflow_scheduler.pipeline.candidates import Bucket, Compiled
from workflow_scheduler.pipeline.listening import listening
from workflow_scheduler.pipeline.matcher import Judgement, judge

_encode = msgspec.json.encode


class Ask(msgspec.Struct, frozen=True, gc=False):
    """A match whose decision needs the state in the tables: a member of a join, or a run that must not overlap."""

    compiled: Compiled
    overlap_key: str | None = None


LOCAL_ENGINE = "embedded"
HAND_OVER_US = 1_000_000


def decide(event: Event, bucket: Bucket, now: int, owner: str) -> Accepted:
    """Judge `event` for every candidate and return all that is to be written about it.

    `owner` is the instance that will launch the runs.
    """
    view = EventView(event)
    decisions: list[Decision] = []
    runs: list[Run] = []
    asks: list[Ask] = []
    awaiting: list[Trigger] = []
    for compiled in bucket:
        judgement = judge(compiled, view, now)
        run_id = None
        if judgement.outcome is Outcome.RUN_STARTED:
            overlap_key = None
            if compiled.asks:
                overlap_key = compiled.overlap_key(view, now)
                asks.append(Ask(compiled, overlap_key))
            if not compiled.joins or is_due(event):
                run = intent(event, compiled, now, owner, overlap_key)
                runs.append(run)
                run_id = run.id
            if compiled.trigger.awaits:
                awaiting.append(compiled.trigger)
        decisions.append(decision(event, compiled, judgement, now, run_id))
    return Accepted(event, decisions, runs, asks, listening(event, awaiting) if awaiting else None)


def decision(event: Event, compiled: Compiled, judgement: Judgement, now: int, run_id: str | None) -> Decision:
    """Return the record of one judgement."""
    trigger = compiled.trigger
    predicates = judgement.verdict.predicates
    return Decision(
        tenant_id=event.tenant_id,
        event_id=event.id,
        trigger_id=trigger.id,
        workflow_id=trigger.workflow_id,
        outcome=judgement.outcome,
        reason=judgement.reason,
        decided_at=now,
        predicates=_encode(predicates) if predicates else b"[]",
        run_id=run_id,
    )


def with_lines(given: Decision, lines: Sequence[Predicate]) -> Decision:
    """Return a decision with further lines of its explanation."""
    return msgspec.structs.replace(given, predicates=_encode([*msgspec.json.decode(given.predicates), *lines]))


def settled(
    preliminary: Decision, outcome: Outcome, reason: Reason, lines: Sequence[Predicate], run: Run | None = None
) -> Decision:
    """Return what a decision becomes when the state in the tables was asked, with `lines` about that state."""
    return msgspec.structs.replace(
        with_lines(preliminary, lines), outcome=outcome, reason=reason, run_id=run.id if run else None
    )


def intent(event: Event, compiled: Compiled, now: int, owner: str, overlap_key: str | None = None) -> Run:
    """Return the run that `event` starts through a trigger; its id is minted here, once."""
    trigger = compiled.trigger
    run_input = event.input
    if run_input is None:
        run_input = event.data if trigger.input is None or is_due(event) else _encode(trigger.input)
    if trigger.defaults is not None:
        run_input = laid_over(trigger.defaults, run_input)
    # A run for an engine outside this process can always be found by its next attempt, whoever holds it in memory.
    is_local = trigger.engine == LOCAL_ENGINE
    return Run(
        id=mint(now),
        tenant_id=event.tenant_id,
        workflow_id=trigger.workflow_id,
        workflow=trigger.workflow,
        version=trigger.workflow_version,
        trigger_id=trigger.id,
        trigger_type=trigger.type,
        event_id=event.id,
        event_key=event.event_key if event.replay_of is None else event.id,
        created_at=now,
        engine=trigger.engine,
        owner=owner,
        next_attempt_at=None if is_local else now + HAND_OVER_US,
        input=run_input,
        scheduled_for=event.scheduled_for,
        depth=event.depth,
        cause_run_id=event.cause_run_id,
        replay_of=event.replay_of,
        traceparent=event.traceparent,
        user_id=event.user_id,
        bearer=event.bearer,
        overlap_key=overlap_key,
        priority=trigger.priority if event.priority is None else event.priority,
    )


def without_runs(accepted: Accepted, refused: Mapping[str, str]) -> Accepted:
    """Leave out runs that an earlier run of the same trigger and key stands in the way of, as the store did."""
    if not any(run.id in refused for run in accepted.runs):
        return accepted
    decisions = [
        msgspec.structs.replace(one, outcome=Outcome.DUPLICATE, reason=Reason.ALREADY_SEEN, run_id=refused[one.run_id])
        if one.run_id is not None and one.run_id in refused
        else one
        for one in accepted.decisions
    ]
    return Accepted(accepted.event, decisions, [run for run in accepted.runs if run.id not in refused])
