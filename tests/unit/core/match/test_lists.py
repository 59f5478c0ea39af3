"""What `map` and `filter` may build, and that no evaluation takes long."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest

from workflow_scheduler.core.errors import Rejected, ValidationFailed
from workflow_scheduler.core.match.expression import evaluate

NAMES = ("event",)
MILLISECONDS = 10


def data(length):
    return {
        "list": list(range(length)),
        "texts": [str(number) for number in range(length)],
        "text": "a" * length * 10,
        "map": {str(number): number for number in range(length)},
        "commits": [{"id": str(one), "files": ["a", "b", "c"]} for one in range(min(length, 200))],
        "nested": [[1] * 100 for _ in range(min(length, 100))],
    }


HOSTILE = (
    "event.list.map(x, x).size() > 0",
    "event.list.map(x, event.list.map(y, x * y)).size() > 0",
    "event.list.exists(x, x in event.list.map(y, -1))",
    "event.list.filter(x, event.list.filter(y, y == x).size() > 1).size() == 5",
    "event.list.map(a, event.list).map(b, b).size() > 0",
    "(event.list + event.list + event.list).map(x, x).size() > 0",
    "event.text.split('').map(x, x).size() > 0",
    "event.text.split('a').filter(x, x == 'b').size() > 0",
    "event.map.map(k, k).size() > 0",
    "event.map.all(k, event.map.all(j, j != ''))",
    "event.nested.map(x, x.map(y, y)).size() > 0",
    "event.texts.map(x, x + 'a').map(x, x + 'b').map(x, x + 'c').size() > 0",
    "[1, 2, 3, 4].map(a, event.list.map(b, b)).size() > 0",
    "event.list.map(x, [1, 2, 3].map(y, event.list.map(z, z))).size() > 0",
    "event.text.matches('(a|a)*b')", "event.text.matches('(a*)*(a*)*[^a]$')",
    "event.texts.all(x, x.matches('^(1|11)+$'))",
    "event.text.replace('a', event.text).size() > 0", "event.text.split('a').join(event.text).size() > 0",
    "event.list == event.list && event.map == event.map", "event == event",
)  # fmt: skip


LENGTHS = (30, 79, 300, 700, 3_000, 9_900)


def reference():
    """About as much work as the 10 ms of an evaluation allow, on a machine of any speed."""
    numbers = {str(number): number for number in range(10_000)}
    return sum(numbers[name] for _ in range(3) for name in numbers)


def quickest(work):
    took = []
    for _ in range(3):
        began = time.process_time()
        with suppress(Rejected, ValidationFailed):
            work()
        took.append(time.process_time() - began)
    return min(took)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_evaluation_is_more_work_than_a_dict_of_ten_thousand_texts(text):
    for length in LENGTHS:
        variables = {"event": data(length)}
        took = quickest(lambda v=variables: evaluate(text, v, NAMES))
        assert took < 4 * quickest(reference), length  # of the same moment; at most 1.4 were measured


@pytest.mark.parametrize(
    ("text", "longest"),
    [
        ("event.list.map(x, x).size() > 0", 547),
        ("event.list.filter(x, true).size() > 0", 547),
        ("event.list.map(x, x).map(x, x).size() > 0", 387),
        ("event.list.map(x, event.list.map(y, y)).size() > 0", 53),
    ],
)
def test_lists_are_built_up_to_a_length_that_the_form_of_the_expression_sets(text, longest):
    assert evaluate(text, {"event": {"list": [1] * longest}}, NAMES) is True
    with pytest.raises(Rejected, match="lists are too long"):
        evaluate(text, {"event": {"list": [1] * (longest + 1)}}, NAMES)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("event.commits.map(c, c.id).size()", 200),
        ("event.commits.exists(c, c.files.filter(f, f.startsWith('b')).size() > 0)", True),
        ("event.commits.map(c, c.files.map(f, f + '.py')).size()", 200),
        ("event.list.map(x, x * 2).size()", 500),
        ("event.texts.filter(x, x.endsWith('7')).size()", 50),
        ("event.map.map(k, event.map[k]).size()", 500),
        ("[1, 2, 3].map(a, [4, 5].map(b, a * b)).size()", 3),
        ("event.list.all(x, x >= 0) && event.list.exists(x, x == 499)", True),
    ],
)
def test_ordinary_lists_are_built(text, value):
    assert evaluate(text, {"event": data(500)}, NAMES) == value


def test_a_list_that_is_too_long_is_refused_with_a_sentence():
    with pytest.raises(Rejected, match="lists are too long to be built by `map` or `filter`"):
        evaluate("event.list.map(x, x).size() > 0", {"event": data(5_000)}, NAMES)
