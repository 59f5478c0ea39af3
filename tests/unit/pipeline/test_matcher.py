"""What becomes of an event for a trigger: filters first, then the condition, then the state of trigger and workflow."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from pydantic import BaseModel

from workflow_scheduler.core.match.verdict import Predicate, Verdict
from workflow_scheduler.core.model.event import EventView
from workflow_scheduler.core.model.trigger import Mode
from workflow_scheduler.core.reasons import Outcome, Reason
from workflow_scheduler.pipeline.candidates import Compiled
from workflow_scheduler.pipeline.matcher import judge
from workflow_scheduler.testing.factories import NOON, make_event, make_trigger


class Anything(BaseModel):
    """A configuration without rules."""


def kind(verdict):
    """A trigger type that says `verdict` of every event, or raises it."""

    def matches(config, view):
        if isinstance(verdict, Exception):
            raise verdict
        line = Predicate("filter", "x", "y", verdict)
        return Verdict(result=verdict, predicates=(line,))

    return {"fake": SimpleNamespace(Config=Anything, matches=matches, name="fake")}


def judged(verdict=True, *, event=None, **trigger):
    compiled = Compiled(make_trigger(type="fake", config={}, **trigger), kind(verdict))
    found = judge(compiled, EventView(event or make_event()), NOON)
    return found.outcome, found.reason


TRUE, FALSE = "event.data.amount > 100", "event.data.amount > 200"
MISSING, BROKEN = "event.data.nothing > 1", "event.data.amount > 'x'"


@pytest.mark.parametrize(
    ("verdict", "condition", "outcome", "reason"),
    [
        (True, None, Outcome.RUN_STARTED, Reason.MATCHED),
        (True, TRUE, Outcome.RUN_STARTED, Reason.MATCHED),
        (False, None, Outcome.FILTERED, Reason.PREDICATE_FALSE),
        (False, BROKEN, Outcome.FILTERED, Reason.PREDICATE_FALSE),
        (True, FALSE, Outcome.FILTERED, Reason.CONDITION_FALSE),
        (None, FALSE, Outcome.FILTERED, Reason.CONDITION_FALSE),
        (True, MISSING, Outcome.FILTERED, Reason.UNKNOWN_SKIPPED),
        (True, BROKEN, Outcome.FILTERED, Reason.CONDITION_ERROR),
        (None, None, Outcome.FILTERED, Reason.UNKNOWN_SKIPPED),
        (None, TRUE, Outcome.FILTERED, Reason.UNKNOWN_SKIPPED),
    ],
)
def test_filters_come_before_the_condition(verdict, condition, outcome, reason):
    assert judged(verdict, condition=condition) == (outcome, reason)


@pytest.mark.parametrize(
    ("policy", "condition", "outcome", "reason"),
    [
        ("hold", MISSING, Outcome.HELD, Reason.UNKNOWN_HELD),
        ("hold", BROKEN, Outcome.HELD, Reason.CONDITION_ERROR),
        ("fire", MISSING, Outcome.RUN_STARTED, Reason.UNKNOWN_FIRED),
        ("fire", BROKEN, Outcome.RUN_STARTED, Reason.UNKNOWN_FIRED),
        ("skip", MISSING, Outcome.FILTERED, Reason.UNKNOWN_SKIPPED),
    ],
)
def test_what_is_unknown_goes_as_the_trigger_says(policy, condition, outcome, reason):
    assert judged(condition=condition, on_unknown=policy) == (outcome, reason)


@pytest.mark.parametrize(
    ("state", "outcome", "reason"),
    [
        ({"mode": Mode.DISABLED}, Outcome.SKIPPED, Reason.TRIGGER_DISABLED),
        ({"mode": Mode.SUSPENDED}, Outcome.SUSPENDED, Reason.TRIGGER_SUSPENDED),
        ({"workflow_paused": True}, Outcome.SKIPPED, Reason.WORKFLOW_PAUSED),
        ({"mode": Mode.DISABLED, "workflow_paused": True}, Outcome.SKIPPED, Reason.TRIGGER_DISABLED),
    ],
)
def test_the_state_counts_for_what_would_have_run(state, outcome, reason):
    assert judged(**state) == (outcome, reason)
    assert judged(None, on_unknown="fire", **state) == (outcome, reason)
    assert judged(verdict=False, **state) == (Outcome.FILTERED, Reason.PREDICATE_FALSE)


def test_a_paused_workflow_is_started_by_hand():
    assert judged(event=make_event(provider="manual"), workflow_paused=True)[0] is Outcome.RUN_STARTED
    assert judged(event=make_event(provider="manual"), mode=Mode.DISABLED)[0] is Outcome.SKIPPED


def test_chains_end_at_their_depth():
    assert judged(event=make_event(depth=3), max_depth=3)[0] is Outcome.RUN_STARTED
    assert judged(event=make_event(depth=4), max_depth=3) == (Outcome.LOOP_BLOCKED, Reason.DEPTH_EXCEEDED)


def test_a_workflow_never_handles_its_own_failure():
    trigger = make_trigger()
    own = make_event(type="workflow_failed", subject=trigger.workflow_id, depth=1)
    assert judged(event=own) == (Outcome.LOOP_BLOCKED, Reason.OWN_FAILURE)
    assert judged(event=make_event(type="workflow_failed", subject="another", depth=1))[0] is Outcome.RUN_STARTED
    done = make_event(type="workflow_completed", subject=trigger.workflow_id, depth=1)
    assert judged(event=done)[0] is Outcome.RUN_STARTED


@pytest.mark.parametrize("types", [{}, {"fake": SimpleNamespace(Config=BaseModel, matches=None)}])
def test_a_trigger_that_cannot_be_read_says_so(types):
    trigger = make_trigger(type="fake", config={}, condition="this is no condition" if types else None)
    found = judge(Compiled(trigger, types), EventView(make_event()), NOON)
    assert (found.outcome, found.reason) == (Outcome.FILTERED, Reason.MALFORMED)
    assert found.verdict.predicates[0].actual


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("y"), ZeroDivisionError()])
def test_a_fault_in_a_trigger_type_is_a_decision(error):
    assert judged(error) == (Outcome.FILTERED, Reason.MALFORMED)


def test_a_payload_that_is_no_json_is_a_decision():
    assert judged(condition=TRUE, event=make_event(data=b"{")) == (Outcome.FILTERED, Reason.MALFORMED)


def test_predicates_are_told_in_their_order():
    compiled = Compiled(make_trigger(type="fake", config={}, condition=FALSE), kind(verdict=True))
    found = judge(compiled, EventView(make_event()), NOON)
    assert [(line.name, line.verdict) for line in found.verdict.predicates] == [("filter", True), ("condition", False)]
