"""`overlap` in definition files: its short and long form, and what is refused with its place."""

import pytest

from workflow_scheduler.core.definition.check import check, inspect
from workflow_scheduler.core.definition.load import parse, read
from workflow_scheduler.core.definition.schema import schema
from workflow_scheduler.core.errors import DefinitionInvalid
from workflow_scheduler.core.model.workflow import overlap_of
from workflow_scheduler.core.overlap import Overlap
from workflow_scheduler.core.registry import discover
from workflow_scheduler.testing.factories import NOON

TRIGGERS = discover("workflow_scheduler.triggers", "workflow_scheduler.triggers")
JOBS = discover("workflow_scheduler.jobs", "workflow_scheduler.jobs")


def text_of(trigger, top):
    text = f"version: 1\nname: bills\n{top}\ntriggers:\n  tick: {{type: interval, every: 1m{trigger}}}\n"
    return text + "  other: {type: manual}\njobs: {work: {uses: noop}}\n"


def checked(trigger="", top=""):
    return check(parse(text_of(trigger, top)), TRIGGERS, JOBS, NOON)


def mistakes(trigger="", top=""):
    (reading,) = read(text_of(trigger, top))
    with pytest.raises(DefinitionInvalid) as caught:
        inspect(reading, TRIGGERS, JOBS, NOON)
    return caught.value.errors


def rule(found, name="tick"):
    return overlap_of(found.triggers[name].shared.overlap, found.definition)


def test_a_short_form_is_a_policy_for_the_trigger():
    assert rule(checked(", overlap: skip")) == Overlap("skip", "trigger")


def test_a_key_makes_the_scope():
    found = rule(checked(", overlap: {policy: queue_all, key: event.data.n, limit: 7}"))
    assert found == Overlap("queue_all", "key", "event.data.n", 7)


def test_without_a_rule_and_with_allow_nobody_is_counted():
    assert rule(checked()) is None
    assert rule(checked(", overlap: allow", "overlap: skip")) is None


def test_the_rule_of_the_workflow_holds_where_a_trigger_has_none():
    found = checked(", overlap: queue_one", "overlap: skip")
    assert rule(found) == Overlap("queue_one")
    assert rule(found, "other") == Overlap("skip")


def test_the_scope_workflow_counts_the_other_triggers_as_well():
    found = checked(", overlap: {policy: skip, scope: workflow}")
    assert rule(found, "other") == Overlap("allow", "workflow")


def test_triggers_with_a_scope_of_their_own_are_named_as_not_counted():
    found = checked(", overlap: {policy: skip, scope: workflow}", "overlap: skip")
    assert any("does not count the runs of other" in line for line in found.warnings)


@pytest.mark.parametrize(
    ("trigger", "field", "words"),
    [
        (", overlap: skipp", "triggers.tick.overlap", "did you mean `skip`?"),
        (", overlap: {policy: nope}", "triggers.tick.overlap.policy", "must be one of"),
        (", overlap: {polcy: skip}", "triggers.tick.overlap.polcy", "did you mean `policy`?"),
        (", overlap: {policy: skip, scope: key}", "triggers.tick.overlap", "needs `key`"),
        (
            ", overlap: {policy: skip, scope: trigger, key: event.data.n}",
            "triggers.tick.overlap",
            "goes with the scope",
        ),
        (", overlap: {policy: skip, limit: 3}", "triggers.tick.overlap", "`queue_all`"),
        (", overlap: {policy: queue_all, limit: 0}", "triggers.tick.overlap.limit", "at least 1"),
        (", overlap: {policy: skip, key: 'event.data.('}", "triggers.tick.overlap.key", "not valid"),
        (", overlap: [skip]", "triggers.tick.overlap", "a mapping"),
    ],
)
def test_mistakes_are_told_at_their_place(trigger, field, words):
    (error,) = [issue for issue in mistakes(trigger) if issue.field == field]
    assert words in error.message
    assert error.line == 5


def test_a_broken_key_of_the_workflow_is_told_as_well():
    (error,) = mistakes("", "overlap: {policy: skip, key: 'nope.x'}")
    assert (error.field, error.line) == ("overlap.key", 3)


def test_the_schema_of_files_knows_both_forms():
    whole = schema(TRIGGERS, JOBS)
    assert "OverlapRule" in whole["$defs"]
    assert "overlap" in whole["$defs"]["trigger.webhook"]["properties"]
