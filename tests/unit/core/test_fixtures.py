"""Fixtures: what is kept of an event, and what is read back."""

import pytest

from workflow_scheduler.core.errors import ValidationFailed
from workflow_scheduler.core.fixtures import is_fixture, lets_through, made, read
from workflow_scheduler.core.reasons import Outcome

EVENT = {
    "id": "e", "source": "/shop", "type": "order.paid", "subject": None, "provider": "event",
    "time": "2027-03-14T07:30:00Z", "received_at": "2027-03-14T07:30:01Z", "event_key": "k", "user_id": "ada",
    "data": {"amount": 120, "card_token": "tok"}, "attributes": {"headers": {"x-request": "1"}},
    "index_keys": ["order.paid", "*"], "sub_keys": [""], "duplicates": 0,
}  # fmt: skip
DECISIONS = [
    {"workflow": "orders", "trigger": "paid", "outcome": "run_started"},
    {"workflow": "orders", "trigger": "large", "outcome": "filtered"},
    {"workflow": "orders", "trigger": "queued", "outcome": "skipped"},
    {"workflow": None, "trigger": None, "outcome": "run_started"},
]


def test_a_fixture_keeps_what_is_judged_and_no_secret():
    value, hidden = made(EVENT, DECISIONS)
    assert is_fixture(value)
    assert hidden == ["data.card_token"]
    assert value["expect"] == {"orders/paid": True, "orders/large": False, "orders/queued": True}
    assert not {"id", "user_id", "event_key", "subject"} & set(value["event"])
    found = read(value)
    assert (found.event.type, found.event.index_keys, found.event.sub_keys) == (
        "order.paid",
        ("order.paid", "*"),
        ("",),
    )
    assert found.event.data == b'{"amount":120,"card_token":"***"}'
    assert found.event.received_at - found.event.time == 1_000_000
    assert found.expect == value["expect"]


def test_what_lets_an_event_through():
    refusing = {one for one in Outcome if not lets_through(one)}
    assert refusing == {Outcome.FILTERED, Outcome.HELD, Outcome.DUPLICATE}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"fixture": 2}, "fixture"),
        ({"event": []}, "event"),
        ({"event": {"type": "x"}}, "event"),
        ({"expect": {"a/b": "yes"}}, "expect"),
        ({"expect": ["a/b"]}, "expect"),
        ({"event": {"provider": "event", "time": "soon"}}, "event.time"),
        ({"event": {"provider": "event", "index_keys": "a"}}, "event.index_keys"),
        ({"event": {"provider": "event", "sub_keys": [1]}}, "event.sub_keys"),
    ],
)
def test_what_is_no_fixture_is_refused_with_the_field(change, field):
    value, _ = made(EVENT, DECISIONS)
    with pytest.raises(ValidationFailed) as refused:
        read({**value, **change})
    assert refused.value.errors[0].field == field


def test_little_is_enough():
    found = read({"fixture": 1, "event": {"provider": "webhook"}})
    assert (found.event.type, found.event.data, found.expect) == ("webhook", b"null", None)
