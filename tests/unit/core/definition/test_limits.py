"""Limits in a definition: what is read, and what is refused with its place."""

import pytest

from workflow_scheduler.core.definition.check import check
from workflow_scheduler.core.definition.load import read
from workflow_scheduler.core.errors import DefinitionInvalid
from workflow_scheduler.core.model.workflow import Definition, limit_of
from workflow_scheduler.core.overlap import Overlap, limit_key, limit_value_key, limited_workflow, value_key
from workflow_scheduler.core.registry import discover

TRIGGERS = discover("workflow_scheduler.triggers", "workflow_scheduler.triggers")
JOBS = discover("workflow_scheduler.jobs", "workflow_scheduler.jobs")
HEAD = "version: 1\nname: x\n"
TAIL = "\njobs: {a: {uses: noop}}\n"


def errors(text):
    with pytest.raises(DefinitionInvalid) as raised:
        check(read(HEAD + text + TAIL)[0].loaded(), TRIGGERS, JOBS, 0)
    return [(error.field, error.message) for error in raised.value.errors]


@pytest.mark.parametrize(
    ("text", "field", "message"),
    [
        ("concurrency: {key: event.data.c}", "concurrency", "`key` and `on_limit` go with `max_runs`"),
        ("concurrency: {on_limit: skip}", "concurrency", "`key` and `on_limit` go with `max_runs`"),
        ("concurrency: {max_runs: 2, key: '1 +'}", "concurrency.key", ""),
        ("overlap: skip\nconcurrency: {max_runs: 2, key: event.data.c}", "concurrency.key", "keep one of them"),
        (
            "triggers: {m: {type: manual, overlap: queue_all}}\nconcurrency: {max_runs: 2, on_limit: skip}",
            "concurrency.on_limit",
            "keep one of them",
        ),
        ("priority: urgent", "priority", "write low, normal, high or a number from -100 to 100"),
        ("priority: 101", "priority", "at most 100"),
        ("triggers: {m: {type: manual, priority: hgih}}", "triggers.m.priority", "is not a priority"),
        ("resources: {db: 0}", "resources.db", "at least 1"),
        ("resources: {'no name': 1}", "resources.no name", ""),
    ],
)
def test_what_makes_no_sense_is_refused_at_its_place(text, field, message):
    found = errors(text)
    assert [one for one in found if one[0].startswith(field) and message in one[1]], found


def limit(several=False, engine="embedded", **more):
    return limit_of(Definition(name="x", engine=engine, **more), several=several)


def test_a_plain_limit_is_counted_in_the_store_only_where_others_could_count_as_well():
    plain = {"max_runs": 3}
    assert limit(concurrency=plain) is None
    assert limit(several=True, concurrency=plain) == Overlap("queue_all", "workflow", places=3)
    assert limit(engine="http", concurrency=plain) == Overlap("queue_all", "workflow", places=3)
    assert limit(concurrency={**plain, "key": "event.a"}) == Overlap("queue_all", "key", "event.a", places=3)
    assert limit(concurrency={**plain, "on_limit": "skip"}) == Overlap("skip", "workflow", places=3)
    assert limit(several=True) is None
    assert limit(several=True, concurrency=plain, overlap="skip") is None


@pytest.mark.parametrize(("given", "number"), [("low", -50), ("normal", 0), ("high", 50), (-100, -100), ("7", 7)])
def test_priorities_have_names_and_numbers(given, number):
    assert Definition(name="x", priority=given).priority == number


def test_keys_of_limits_name_their_workflow_and_are_no_keys_of_overlap():
    assert limited_workflow(limit_key("w1")) == limited_workflow(limit_value_key("w1", {"a": ":"})) == "w1"
    assert limited_workflow(value_key("w1", 1)) is None
    assert limited_workflow(None) is None
    assert limit_value_key("w1", 1) != limit_value_key("w1", "1")
