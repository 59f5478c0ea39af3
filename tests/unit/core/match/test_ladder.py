"""The ladder: each level, each exclusion, and random cases against an oracle that is written another way."""

from hypothesis import given
from hypothesis import strategies as st

from workflow_scheduler.core.match.ladder import Candidate, Move, Spoken, choose


def wait(name="w1", **given):
    return Candidate(**{"id": name, "workflow_id": "flow", "opened_at": 10, "started_at": 5, **given})


def spoken(**given):
    return Spoken(**{name: frozenset(value) for name, value in given.items()})


def result(event, *waits):
    choice = choose(event, waits)
    return choice.move.value, choice.wait_id, choice.level


THREAD = frozenset({"slack:T/C/1"})
CHANNEL = frozenset({"slack:T/C"})


def test_each_level_finds_its_wait():
    assert result(spoken(ids={"w1"}), wait()) == ("resume", "w1", "L1")
    assert result(spoken(conversations=THREAD), wait(conversations=THREAD)) == ("resume", "w1", "L2")
    assert result(spoken(), wait(correlates=True, correlated=True)) == ("resume", "w1", "L3")
    assert result(spoken(workflows={"flow"}, scopes=CHANNEL), wait(scopes=CHANNEL)) == ("resume", "w1", "L4")
    assert result(spoken(workflows={"flow"}), wait()) == ("resume", "w1", "L5")


def test_a_higher_level_wins_whatever_stands_below():
    event = spoken(ids={"w1"}, conversations=THREAD, workflows={"flow"})
    assert result(event, wait(), wait("w2", conversations=THREAD), wait("w3")) == ("resume", "w1", "L1")


def test_naming_another_wait_excludes_one_on_every_lower_level():
    other = wait("w2", conversations=THREAD, correlates=True, correlated=True)
    assert result(spoken(ids={"gone"}, conversations=THREAD, workflows={"flow"}), other) == ("none", None, None)


def test_another_thread_excludes_a_wait_from_correlation_and_scope():
    one = wait(conversations={"slack:T/C/9"}, scopes=CHANNEL, correlates=True, correlated=True)
    event = spoken(conversations=THREAD, scopes=CHANNEL, workflows={"flow"})
    choice = choose(event, [one])
    assert choice.move is Move.NONE
    assert [line.note for line in choice.lines] == ["the event belongs to another conversation"]


def test_another_channel_excludes_a_wait_from_correlation():
    one = wait(scopes={"slack:T/D"}, correlates=True, correlated=True)
    assert result(spoken(scopes=CHANNEL, workflows={"flow"}), one)[0] == "none"


def test_a_mail_contradicts_no_slack_thread():
    one = wait(conversations={"email:m1"}, correlates=True, correlated=True)
    assert result(spoken(conversations=THREAD), one) == ("resume", "w1", "L3")


def test_another_correlation_value_excludes_a_wait_from_its_channel():
    one = wait(scopes=CHANNEL, correlates=True, correlated=False)
    assert result(spoken(scopes=CHANNEL, workflows={"flow"}), one)[0] == "none"


def test_the_last_level_is_for_waits_without_channel_and_correlation():
    event = spoken(workflows={"flow"})
    assert result(event, wait(scopes=CHANNEL))[0] == "none"
    assert result(event, wait(correlates=True))[0] == "none"
    assert result(event, wait(started_at=5), wait("w2", started_at=7)) == ("resume", "w2", "L5")
    assert result(event, wait(started_at=7), wait("w2", started_at=7))[0] == "ask"


def test_who_may_not_answer_and_what_is_no_answer_is_not_taken_on_any_level():
    for flaw in ({"allowed": False}, {"allowed": None}, {"flaw": "no answer"}):
        assert result(spoken(ids={"w1"}, workflows={"flow"}), wait(**flaw))[0] == "none"


def test_somebody_who_may_answer_only_one_of_two_waits_answers_that_one():
    two = (wait(scopes=CHANNEL, allowed=False), wait("w2", scopes=CHANNEL))
    assert result(spoken(workflows={"flow"}, scopes=CHANNEL), *two) == ("resume", "w2", "L4")


def test_two_waits_on_the_best_level_are_decided_by_their_policy():
    event = spoken(workflows={"flow"}, scopes=CHANNEL)

    def both(first, second=None):
        waits = (
            wait(scopes=CHANNEL, ambiguous=first),
            wait("w2", opened_at=20, scopes=CHANNEL, ambiguous=second or first),
        )
        return result(event, *waits)

    assert both("ask") == ("ask", None, "L4")
    assert both("newest") == ("resume", "w2", "L4")
    assert both("oldest") == ("resume", "w1", "L4")
    assert both("start_new") == ("none", None, "L4")
    assert both("newest", "oldest") == ("ask", None, "L4")


def test_an_answer_to_a_closed_wait_is_late_only_where_it_clearly_belongs_to_it():
    closed = wait(closed=True, conversations=THREAD, scopes=CHANNEL)
    assert result(spoken(ids={"w1"}), closed) == ("late", "w1", "L1")
    assert result(spoken(conversations=THREAD), closed) == ("late", "w1", "L2")
    assert result(spoken(scopes=CHANNEL, workflows={"flow"}), closed)[0] == "none"


def test_an_open_wait_is_preferred_to_a_closed_one():
    closed, still_open = wait(closed=True, conversations=THREAD), wait("w2", conversations=THREAD)
    assert result(spoken(conversations=THREAD), closed, still_open) == ("resume", "w2", "L2")


NAMES = st.sampled_from(["w0", "w1", "w2", "w3"])
KINDS = st.frozensets(st.sampled_from(["slack:a", "slack:b", "email:a", "email:b"]), max_size=2)
EVENTS = st.builds(
    Spoken,
    ids=st.frozensets(NAMES, max_size=1),
    conversations=KINDS,
    scopes=KINDS,
    workflows=st.frozensets(st.sampled_from(["f", "g"]), max_size=2),
)
WAITS = st.lists(
    st.builds(
        Candidate,
        id=NAMES,
        workflow_id=st.sampled_from(["f", "g"]),
        opened_at=st.integers(0, 3),
        started_at=st.integers(0, 3),
        conversations=KINDS,
        scopes=KINDS,
        correlates=st.sampled_from([True]),
        correlated=st.sampled_from([None, True, False]),
        allowed=st.sampled_from([True, True, True, False, None]),
        flaw=st.sampled_from([None, None, None, "flaw"]),
        ambiguous=st.sampled_from(["ask", "newest", "oldest", "start_new"]),
        closed=st.sampled_from([False, False, False, True]),
    ).map(lambda one: one if one.correlated is not None else type(one)(**{
        **{name: getattr(one, name) for name in one.__struct_fields__}, "correlates": one.started_at % 2 == 0})),
    max_size=4,
    unique_by=lambda one: one.id,
)  # fmt: skip


def kinds(facts):
    return {fact.split(":")[0] for fact in facts}


def apart(one, other):
    return bool(kinds(one) & kinds(other)) and not one & other


def levels_of(event, one):
    """Return the levels on which a wait stands, wait by wait and without any order of steps."""
    named = one.id in event.ids
    misnamed = bool(event.ids) and not named
    elsewhere = apart(event.conversations, one.conversations) or apart(event.scopes, one.scopes)
    mine = one.workflow_id in event.workflows
    found = set()
    if named:
        found.add(1)
    if one.conversations & event.conversations and not misnamed:
        found.add(2)
    if one.correlated is True and not misnamed and not elsewhere:
        found.add(3)
    clear = not misnamed and not elsewhere and one.correlated is not False
    if clear and mine and one.scopes & event.scopes:
        found.add(4)
    if clear and mine and not (one.conversations or one.scopes or one.correlates):
        found.add(5)
    return found


def oracle(event, waits):
    """Return (move, wait) by the text of the law; a wait that may not be answered counts nowhere."""
    able = {one.id: levels_of(event, one) for one in waits if not one.closed}
    by_id = {one.id: one for one in waits}
    fit = {key: found for key, found in able.items() if found and by_id[key].allowed and by_id[key].flaw is None}
    if fit:
        best = min(min(found) for found in fit.values())
        there = [by_id[key] for key, found in fit.items() if best in found]
        if best == 5 and len(there) > 1:
            last = max(one.started_at for one in there)
            there = [one for one in there if one.started_at == last]
        if len(there) == 1:
            return Move.RESUME, there[0].id
        policies = {one.ambiguous for one in there}
        policy = policies.pop() if len(policies) == 1 else "ask"
        if policy in ("newest", "oldest"):
            ordered = sorted(there, key=lambda one: (one.opened_at, one.id))
            return Move.RESUME, ordered[-1 if policy == "newest" else 0].id
        return (Move.NONE if policy == "start_new" else Move.ASK), None
    for level in (1, 2):
        gone = [one for one in waits if one.closed and one.allowed and one.flaw is None]
        late = [one for one in gone if level in levels_of(event, one)]
        if late:
            return Move.LATE, max(late, key=lambda one: (one.opened_at, one.id)).id
    return Move.NONE, None


@given(EVENTS, WAITS)
def test_the_ladder_agrees_with_the_oracle(event, waits):
    choice = choose(event, waits)
    assert (choice.move, choice.wait_id) == oracle(event, waits)


@given(EVENTS, WAITS)
def test_every_open_wait_has_exactly_one_line_and_at_most_one_is_chosen(event, waits):
    choice = choose(event, waits)
    lines = [line.wait_id for line in choice.lines]
    assert sorted(lines) == sorted(set(lines))
    assert {one.id for one in waits if not one.closed} <= set(lines)
    chosen = [line.wait_id for line in choice.lines if line.chosen]
    assert chosen == ([choice.wait_id] if choice.move is Move.RESUME else [])


@given(EVENTS, WAITS)
def test_the_order_in_which_waits_are_looked_at_changes_nothing(event, waits):
    one, other = choose(event, waits), choose(event, waits[::-1])
    assert (one.move, one.wait_id, one.level) == (other.move, other.wait_id, other.level)
