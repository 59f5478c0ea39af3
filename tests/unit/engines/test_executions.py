import pytest

from workflow_scheduler.core.errors import EngineUnavailable
from workflow_scheduler.core.model.run import Run, RunStatus
from workflow_scheduler.core.time.clock import from_iso
from workflow_scheduler.engines.executions import change, read_execution, read_listing

RUN = Run(
    id="run-1", tenant_id="local", workflow_id="wf", workflow="w", version=1, trigger_id="t", trigger_type="manual",
    event_id="e", event_key="k", created_at=0, engine="http", fence=7,
)  # fmt: skip
MOMENT = from_iso("2027-03-14T09:30:00Z")


def seen(body):
    return change(read_execution(body), RUN)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("SUCCEEDED", RunStatus.SUCCEEDED), ("Success", RunStatus.SUCCEEDED), ("COMPLETED", RunStatus.SUCCEEDED),
        ("failed", RunStatus.FAILED), ("ERROR", RunStatus.FAILED), ("timed-out", RunStatus.FAILED),
        ("CANCELED", RunStatus.CANCELLED), ("cancelled", RunStatus.CANCELLED), ("TERMINATED", RunStatus.CANCELLED),
        ("PAUSED", RunStatus.PAUSED), ("WAITING_FOR_HUMAN", RunStatus.PAUSED),
        ("RUNNING", RunStatus.RUNNING), ("QUEUED", RunStatus.RUNNING),
        ("NEW", RunStatus.RUNNING), ("??", RunStatus.RUNNING),
    ],
)  # fmt: skip
def test_statuses(word, status):
    assert seen(b'{"execution_id":"x","status":"%s"}' % word.encode()).status is status


def test_a_missing_status_is_not_an_end():
    assert seen(b'{"execution_id":"x"}').status is RunStatus.RUNNING


@pytest.mark.parametrize(
    "value", [b'"2027-03-14T09:30:00Z"', b'"2027-03-14T10:30:00+01:00"', b"%d" % (MOMENT // 1_000_000),
              b"%d.0" % (MOMENT // 1_000_000), b"%d" % (MOMENT // 1000), b"%d" % MOMENT]
)  # fmt: skip
@pytest.mark.parametrize("name", [b"ended_at", b"finished_at", b"completed_at"])
def test_times_in_any_form(name, value):
    assert seen(b'{"id":1,"status":"done","%s":%s}' % (name, value)).ended_at == MOMENT


def test_a_time_that_is_none_is_left_out():
    found = seen(b'{"id":1,"status":"done","started_at":"yesterday","ended_at":null}')
    assert (found.started_at, found.ended_at) == (None, None)


def test_output_and_identity():
    found = seen(b'{"execution_id":12,"status":"done","result":{"a":[1]}}')
    assert (found.external_id, found.output, found.fence, found.run_id) == ("12", b'{"a":[1]}', 7, "run-1")
    assert seen(b'{"status":"done","output":null}').output is None


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b'{"status":"failed","error":"boom"}', b'{"code":"engine_failed","message":"boom"}'),
        (b'{"status":"failed","error_message":"boom"}', b'{"code":"engine_failed","message":"boom"}'),
        (b'{"status":"failed","error":{"code":"E1","message":"boom","x":1}}', b'{"code":"E1","message":"boom"}'),
        (b'{"status":"failed","error":{"why":1}}', b'{"code":"engine_failed","message":"{\\"why\\":1}"}'),
        (b'{"status":"failed"}', b'{"code":"engine_failed","message":"the engine reports a failure"}'),
    ],
)
def test_errors_in_any_form(body, error):
    assert seen(body).error == error


def test_an_error_of_a_run_that_did_not_fail_is_left_out():
    assert seen(b'{"status":"done","error":"warning"}').error is None


@pytest.mark.parametrize(
    ("body", "ours"),
    [
        (b'{"run_id":"run-1"}', True),
        (b'{"idempotency_key":"run-1","execution_id":"x"}', True),
        (b'{"execution_id":"run-1"}', True),
        (b'{"id":"run-1"}', True),
        (b'{"execution_id":"run-2"}', False),
        (b"{}", False),
    ],
)
def test_whose_execution_it_is(body, ours):
    assert read_execution(body).belongs_to(RUN) is ours


@pytest.mark.parametrize("key", [b"workflows", b"executions", b"items"])
def test_lists(key):
    executions, cursor = read_listing(b'{"%s":[{"id":"a"},{"id":"b"}],"next":"c"}' % key)
    assert [one.external_id for one in executions] == ["a", "b"]
    assert cursor == "c"
    assert read_listing(b"{}") == ((), None)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"1", b"null", b"\xff", b'{"status":[]}', b"[" * 100_000])
def test_what_is_not_an_execution_is_a_broken_engine(body):
    with pytest.raises(EngineUnavailable):
        read_execution(body)
    with pytest.raises(EngineUnavailable):
        read_listing(body if body != b'{"status":[]}' else b'{"workflows":1}')
