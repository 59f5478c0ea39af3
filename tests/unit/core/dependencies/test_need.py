"""What a workflow waits for, as text and as a rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_scheduler.core.dependencies.need import Need, absent, holds, lacking, read

NAMES = "abcde"


@pytest.mark.parametrize(
    ("text", "arrived", "missing"),
    [
        ("a", "", "a"),
        ("a", "a", ""),
        ("a and b", "a", "b"),
        ("a and b", "", "a, b"),
        ("a or b", "", "a or b"),
        ("a or b", "b", ""),
        ("a and (b or c)", "a", "b or c"),
        ("a or b and c", "b", "a or c"),
        ("a && (b || c)", "b", "a"),
        ("at_least(2, a, b, c)", "c", "a or b"),
        ("at_least(2, a, b, c)", "", "2 of: a, b, c"),
        ("at_least(2, a, b and c, d)", "", "2 of: a, (b, c), d"),
        ("(a or b) and (c or d)", "", "a or b, c or d"),
        ("sales-etl.v2 and 7_up", "7_up", "sales-etl.v2"),
    ],
)
def test_what_is_missing_is_said_in_words(text, arrived, missing):
    need = read(text)
    here = set(arrived.split()) if " " in arrived or len(arrived) > 1 else set(arrived)
    assert lacking(need, here) == missing
    assert holds(need, here) is (missing == "")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "missing"),
        ("a and", "missing at character"),
        ("a b", "not expected"),
        ("(a", "`)` is missing"),
        ("a)", "not expected"),
        ("not a", "no `not`"),
        ("!a", "no `not`"),
        ("at_least(3, a, b)", "from 1 to"),
        ("at_least(0, a)", "from 1 to"),
        ("at_least(x, a)", "a number is missing"),
        ("at_least(2)", "from 1 to"),
        ("a + b", "not expected"),
        ("(" * 30 + "a" + ")" * 30, "nested"),
        ("a" * 3000, "at most"),
        ("or", "missing"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(text, says):
    with pytest.raises(ValueError, match=says.replace("(", r"\(").replace(")", r"\)")):
        read(text)


@given(st.text(alphabet="ab() ,!&|not_leas2\n\x00é", max_size=40))
def test_no_text_does_anything_but_be_read_or_refused(text):
    try:
        need = read(text)
    except ValueError:
        return
    assert holds(need, need.names)


@st.composite
def needs(draw, depth=3):
    if depth == 0 or draw(st.booleans()):
        return draw(st.sampled_from(NAMES))
    parts = draw(st.lists(needs(depth=depth - 1), min_size=1, max_size=3))
    return f"at_least({draw(st.integers(1, len(parts)))}, {', '.join(parts)})"


def plain(text, arrived):
    """Evaluate the text as a Python expression, which a test may do."""
    names = {name: name in arrived for name in NAMES}
    return bool(eval(text, {"at_least": lambda n, *parts: sum(map(bool, parts)) >= n, **names}))  # noqa: S307


@given(needs(), st.sets(st.sampled_from(NAMES)), st.sampled_from(NAMES))
def test_it_holds_exactly_when_a_plain_evaluation_does_and_never_stops_holding(text, arrived, more):
    need = read(text)
    held = holds(need, arrived)
    assert held is plain(text, arrived)
    assert not held or holds(need, {*arrived, more})
    assert bool(lacking(need, arrived)) is not held
    missing = absent(need, arrived)
    assert bool(missing) is not held
    assert holds(need, {*arrived, *missing})


def test_names_come_once_in_order():
    assert read("b and (a or b)").names == ("b", "a")
    assert read("a") == Need(1, ("a",))
