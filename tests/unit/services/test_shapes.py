import pytest

from workflow_scheduler.services.shapes import (
    MASK,
    event_shape,
    instant,
    masked,
    masked_query,
    run_shape,
    sensitive,
    shaped,
)
from workflow_scheduler.stores.portable.rows import Malformed
from workflow_scheduler.testing.factories import make_event, make_run


@pytest.mark.parametrize(
    "name",
    ["Authorization", "COOKIE", "x-api-key", "X-Hub-Signature-256", "access_token", "client_secret", "sig", "key"],
)
def test_names_that_may_hold_secrets_are_sensitive(name):
    assert sensitive(name)


@pytest.mark.parametrize("name", ["content-type", "user-agent", "x-github-event", "keyboard", "page"])
def test_plain_names_are_not(name):
    assert not sensitive(name)


def test_masking_goes_down_into_objects_and_queries():
    given = {"headers": {"authorization": "Bearer x", "accept": "*/*"}, "query": "a=1&token=x&empty=", "method": "POST"}
    assert masked(given) == {
        "headers": {"authorization": MASK, "accept": "*/*"},
        "query": "a=1&token=***&empty=",
        "method": "POST",
    }
    assert masked(["not", "an", "object"]) == ["not", "an", "object"]
    assert masked_query("") == ""


def test_times_are_iso_or_absent():
    assert instant(None) is None
    assert instant(0) == "1970-01-01T00:00:00Z"


def test_unreadable_rows_become_errors_in_their_place():
    rows = [make_run(), Malformed("runs", "m1", "no status"), make_run(input=b"{"), make_run(created_at=1 << 70)]
    items, broken = shaped(rows, "runs", lambda run: run.id, run_shape)
    assert [("error" in item and "status" not in item) for item in items] == [False, True, True, True]
    assert [row.id for row in broken] == [rows[2].id, rows[3].id]
    assert items[1] == {"id": "m1", "error": {"code": "malformed", "message": "This row cannot be read: no status"}}


def test_an_event_keeps_what_interface_promises():
    shape = event_shape(make_event(subject="order/7"))
    assert {"id", "source", "type", "subject", "time", "received_at", "data", "event_key"} <= set(shape)
    assert shape["data"] == {"amount": 120}
    assert shape["duplicates"] == 0


def test_a_run_keeps_what_interface_promises():
    promised = (
        "id workflow_id workflow version status trigger_id trigger_type event_id scheduled_for input output error "
        "created_at started_at ended_at"
    )
    assert set(promised.split()) <= set(run_shape(make_run()))
