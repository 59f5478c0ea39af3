"""Expressions: clear errors at save, values for templates, reasons for what is unknown, and bounded work."""

from __future__ import annotations

import time
from typing import Any

import pytest

from workflow_scheduler.core.errors import Rejected, ValidationFailed
from workflow_scheduler.core.match.condition import compile_condition, event_variables
from workflow_scheduler.core.match.expression import compile_expression, evaluate
from workflow_scheduler.core.model.event import Event, EventView
from workflow_scheduler.core.model.trigger import Trigger

JOBS = {
    "input": {"n": 3, "names": ["a", "b"], "text": "été"},
    "jobs": {"extract": {"output": {"files": ["x.csv"], "big": 2**70, "nested": {"a": {"b": [1]}}}}},
    "run": {"id": "r1"},
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("jobs.extract.output.files", ["x.csv"]),
        ("jobs.extract.output", JOBS["jobs"]["extract"]["output"]),
        ("jobs['extract'].output.files[0]", "x.csv"),
        ("input.n + 1", 4),
        ("input.n / 2.0", None),
        ("double(input.n) / 2.0", 1.5),
        ("input.text + '!'", "été!"),
        ("input.names.map(n, n + '.csv')", ["a.csv", "b.csv"]),
        ("input.names.join('-')", "a-b"),
        ("'%d rows'.format([input.n])", "3 rows"),
        ("'A-B'.lowerAscii().split('-')", ["a", "b"]),
        ("{'k': input.n, 'list': [1, 2.5, null, true]}", {"k": 3, "list": [1, 2.5, None, True]}),
        ("timestamp('2027-03-14T07:30:00Z')", "2027-03-14T07:30:00Z"),
        ("duration('90s')", 90.0),
        ("size(input.names)", 2),
        ("b'abc'", "abc"),
        ("jobs.extract.output.big > 5", True),
        ("math.greatest(input.n, 7)", 7),
        ("has(input.missing) ? input.missing : 'none'", "none"),
    ],
)
def test_values(text: str, value: Any) -> None:
    if value is None:
        with pytest.raises(Rejected, match="no such operation"):
            evaluate(text, JOBS)
    else:
        assert evaluate(text, JOBS) == value


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("event.data.amount >", 1, 20, "end"),
        ("event.a\n  == &", 2, 6, "token"),
        ("true && evnt.data.a == 1", 1, 9, "did you mean `event`"),
        ("1 == 'a'", 1, 3, "no matching overload"),
        ("foo(event.a)", 1, 1, "foo"),
        ("", 1, 1, "empty"),
        ("   ", 1, 1, "empty"),
        ("x" * 4_001, 1, 1, "longer"),
        ("(" * 300 + "true" + ")" * 300, 1, 1, "too deep"),
        ("event.a == '\x00'", 1, 1, "not text"),
        ("event.a == '\ud800'", 1, 1, "not text"),
    ],
)
def test_mistakes_are_shown_where_they_are(text: str, line: int, column: int, words: str) -> None:
    with pytest.raises(ValidationFailed) as caught:
        compile_condition(text)
    first = caught.value.errors[0]
    assert (first.line, first.column) == (line, column)
    assert words in first.message


@pytest.mark.parametrize("text", ["1 + 1", "'x'", "[true]", "event.data.a + 1"])
def test_a_condition_that_is_never_true_or_false_is_refused(text: str) -> None:
    with pytest.raises(ValidationFailed, match="true or false"):
        compile_condition(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("event.data.user.age > 1", "`event.data.user` is missing"),
        ("event.data.name + 1 > 1", "no such operation"),
        ("1 / event.data.zero > 1", "divide by zero"),
        ("event.data.list[5] == 1", "index error"),
        ("event.data.name", "gives text, not true or false"),
        ("event.data.list.all(a, event.data.list.all(b, event.data.list.all(c, true)))", "10000 steps"),
    ],
)
def test_the_reason_of_an_unknown(text: str, reason: str) -> None:
    data = {"name": "secret-value", "zero": 0, "list": [0] if "[5]" in text else list(range(40))}
    answer = compile_condition(text).judge({"event": {"data": data}})
    assert answer.result is None
    assert reason in (answer.reason or "")
    assert "secret-value" not in (answer.reason or "")


def test_only_what_is_read_is_handed_over() -> None:
    data = {"a": 1, "huge": [{"x": n} for n in range(100_000)], "odd": object()}
    assert compile_condition("event.data.a + 1 == 2").judge({"event": {"data": data}}).result is True


def test_expressions_that_multiply_their_data_are_refused() -> None:
    with pytest.raises(ValidationFailed, match="far more data"):
        compile_expression("size([input.s]" + ".map(x, x + x)" * 20 + "[0])")
    with pytest.raises(ValidationFailed, match="far more data"):
        compile_expression("input.s" + ".replace('a', 'aaaaaaaaaa')" * 6)


HOSTILE = [
    "event.l.all(x, event.l.all(y, event.l.all(z, x + y + z >= 0)))",
    "event.l.all(x, size(event.s + event.s) > 0)",
    "event.l.map(x, event.s + event.s).size() > 0",
    "event.s.matches('(a|aa)+$')",
    "event.s.contains(event.s + 'b')",
    "size(event.s.replace('a', 'aaaaaaaa')) > 0",
    " && ".join(["event.l.exists(x, x == -1)"] * 100),
    "event == event",
    "size(event.deep) > 0",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_expressions_end_soon(text: str) -> None:
    deep: Any = 1
    for _ in range(900):
        deep = [deep]
    variables = {"event": {"l": list(range(2_000)), "s": "a" * 200_000, "deep": deep}}
    condition = compile_condition(text)
    best = min(_seconds(lambda: condition.judge(variables)) for _ in range(3))
    reference = min(_seconds(lambda: {str(number): number for number in range(20_000)}) for _ in range(3))
    assert best < 8 * reference


def _seconds(work: Any) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def test_what_a_trigger_condition_sees() -> None:
    event = Event(
        id="e1", tenant_id="t", provider="webhook", source="/s", type="webhook", event_key="k", subject="sub",
        time=1_804_000_000_000_000, received_at=1_804_000_000_000_000, data=b'{"amount": 150}',
        attributes=b'{"method":"POST","path":"/p","query":{"q":"1"},"headers":{"x-kind":"a"}}',
    )  # fmt: skip
    trigger = Trigger(
        id="t1", tenant_id="t", workflow_id="w", workflow="w", workflow_version=1, name="orders", type="webhook",
        config={"path": "orders"},
    )  # fmt: skip
    text = (
        "event.data.amount > 100 && headers['x-kind'] == 'a' && event.headers['x-kind'] == 'a' && event.query.q == '1' "
        "&& event.method == 'POST' && event.path == '/p' && event.source == '/s' && event.type == 'webhook' "
        "&& event.subject == 'sub' && event.id == 'e1' && trigger.name == 'orders' && trigger.config.path == 'orders' "
        "&& timestamp(event.time) <= now"
    )
    view = EventView(event)
    shown, _ = compile_condition(text).evaluate(view, trigger, 1_804_000_000_000_000)
    assert shown.verdict is True
    assert shown.name == "condition"
    assert shown.actual["event.data.amount"] == 150
    assert event_variables(view, trigger, 0)["event"] is event_variables(view, None, 1)["event"]


def test_a_shown_value_is_short() -> None:
    condition = compile_condition("event.a == 'x' || event.b == 'y' || size(event.c) == 1")
    shown = condition.shown({"event": {"a": "x" * 1_000, "b": {"k": 1}, "c": [1, 2]}})
    assert shown == {"event.a": "x" * 200 + "…", "event.b": "an object of 1 fields", "event.c": "a list of 2"}
