"""Which paused execution of an engine elsewhere an event answers."""

from workflow_scheduler.core.match.adoption import adopt
from workflow_scheduler.core.ports.engine import Standing

EARLY = Standing(id="a", started_at=1_000_000)
LATE = Standing(id="b", started_at=2_000_000)
ASKING = Standing(id="c", started_at=500_000, interactions=("i1", "i2"))


def lines(found):
    return [(line.expected["execution"], line.actual, line.verdict, line.note) for line in found.lines]


def test_the_one_that_started_last_is_taken():
    found = adopt((), [EARLY, LATE])
    assert (found.execution_id, found.interaction_id) == ("b", None)
    assert lines(found) == [
        ("b", "L5", True, "the paused execution that started last"),
        ("a", "L5", False, "an earlier start"),
    ]


def test_the_one_that_the_event_names_is_taken_before_it():
    found = adopt({"i2"}, [EARLY, LATE, ASKING])
    assert (found.execution_id, found.interaction_id) == ("c", "i2")
    assert lines(found)[1] == ("b", "L1", False, "another execution stands higher")


def test_one_that_asks_for_something_else_is_left_out():
    found = adopt({"i9"}, [EARLY, Standing(id="d", started_at=9_000_000, interactions=("i3",))])
    assert (found.execution_id, found.interaction_id) == ("a", "i9")
    assert ("d", "L1", False, "the event names another interaction") in lines(found)


def test_nobody_guesses_between_two_that_started_at_once():
    found = adopt((), [LATE, Standing(id="z", started_at=2_000_000)])
    assert found.execution_id is None
    assert {line[3] for line in lines(found)} == {"several executions started at the same instant"}


def test_nobody_guesses_between_two_that_ask_for_what_the_event_names():
    twins = [Standing(id=one, started_at=at, interactions=("q",)) for one, at in (("a", 5), ("b", 6))]
    found = adopt({"q"}, [*twins, EARLY])
    assert found.execution_id is None
    told = {line[0]: line[3] for line in lines(found)}
    assert told["a"] == told["b"] == "several executions ask for what the event names"


def test_what_is_answered_is_told_only_where_there_is_one_thing():
    assert adopt((), [ASKING]).interaction_id is None
    assert adopt((), [Standing(id="e", started_at=1, interactions=("only",))]).interaction_id == "only"
