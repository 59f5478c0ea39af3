"""The small parts of the engine: journal, ledger, failures, endings, programs."""

import msgspec
import pytest
from pydantic import ValidationError, field_validator

from workflow_scheduler.core.dag.actions import EndRun, SkipReason
from workflow_scheduler.core.dag.graph import compile_graph
from workflow_scheduler.core.errors import JobFailed, Rejected, RetryAfter
from workflow_scheduler.core.execution import ending
from workflow_scheduler.core.execution.failure import (
    MESSAGE_CHARS_MAX,
    Failure,
    body,
    encode_output,
    from_config,
    from_exception,
)
from workflow_scheduler.core.execution.journal import LINE_CHARS_MAX, Journal
from workflow_scheduler.core.model.run import JobStatus, RunStatus
from workflow_scheduler.core.model.workflow import Definition
from workflow_scheduler.core.registry import Config
from workflow_scheduler.engines.embedded.ledger import Ledger
from workflow_scheduler.testing.factories import make_run

GRAPH = compile_graph(
    Definition.model_validate(
        {"name": "w", "jobs": {"a": {"uses": "noop"}, "b": {"uses": "noop"}, "c": {"uses": "noop", "needs": ["a"]}}}
    )
)


class Retries:
    @staticmethod
    def retryable(error):
        return True


class Breaks:
    @staticmethod
    def retryable(error):
        raise RuntimeError


def test_line_numbers_grow_with_the_clock_and_never_repeat():
    journal = Journal(make_run(), 1000)
    for now in (50, 50, 40, 90):
        journal.add("a", 1, "x", "stdout", now)
    assert [line.seq for line in journal.take()] == [50, 51, 52, 90]
    assert journal.take() == []


def test_a_very_long_line_is_cut():
    journal = Journal(make_run(), 1_000_000)
    journal.add("a", 1, "x" * (LINE_CHARS_MAX + 5), "stdout", 1)
    assert journal.take()[0].line == "x" * LINE_CHARS_MAX + "…"


def test_the_limit_is_per_job_and_said_once():
    journal = Journal(make_run(), 10)
    kept = [journal.add(job, 1, "12345", "stdout", 1) for job in ("a", "a", "a", "b")]
    assert kept == [True, True, False, True]
    assert [line.stream for line in journal.take()] == ["stdout", "system", "stdout"]


def test_a_closed_job_is_durable_once_the_checkpoint_that_took_it_has_landed():
    ledger = Ledger(make_run(fence=4), GRAPH)
    ledger.close(0, JobStatus.SUCCEEDED, 1, output=b"1")
    assert not ledger.durable((0,))
    (taken,) = ledger.take_off()
    ledger.close(1, JobStatus.SUCCEEDED, 1)
    assert (taken.job_id, taken.fence, ledger.durable((0,))) == ("a", 4, False)
    ledger.landed()
    assert ledger.durable((0,))
    assert not ledger.durable((0, 1))
    assert [record.job_id for record in ledger.take_off()] == ["b"]


def test_only_the_last_state_of_a_job_is_recorded():
    ledger = Ledger(make_run(), GRAPH)
    ledger.put(0, JobStatus.RUNNING, 1)
    ledger.close(0, JobStatus.SUCCEEDED, 1)
    assert [record.status for record in ledger.take_off()] == [JobStatus.SUCCEEDED]


def test_the_job_type_decides_about_retries_and_cannot_break_the_engine_doing_so():
    error = JobFailed("x")
    assert from_exception(error, Retries).result.retryable
    assert not from_exception(error, Breaks).result.retryable
    assert not from_exception(error, None).result.retryable
    assert not from_exception(SystemExit(1), Retries).result.retryable


def test_the_way_out_is_stored_with_the_failure():
    stored = msgspec.json.decode(from_exception(JobFailed("too large", fix="print less"), Retries).error)
    assert (stored["message"], stored["fix"]) == ("too large", "print less")
    assert "fix" not in msgspec.json.decode(from_exception(JobFailed("too large"), Retries).error)


def test_a_configuration_that_does_not_fit_is_told_in_plain_words():
    class Wanted(Config):
        url: str

        @field_validator("url")
        @classmethod
        def _web(cls, value):
            raise ValueError(f"`{value}` is not an http or https URL")

    with pytest.raises(ValidationError) as caught:
        Wanted.model_validate({"url": "file:///x"})
    stored = msgspec.json.decode(from_config(caught.value).error)
    assert stored["message"] == "the job's configuration is not valid: url: `file:///x` is not an http or https URL"


def test_codes_come_from_our_errors_or_from_the_class():
    assert from_exception(Rejected("no"), Retries).result.code == "rejected"
    assert from_exception(ZeroDivisionError(), Retries).result.code == "ZeroDivisionError"
    assert from_exception(RetryAfter("busy", retry_after_seconds=1.5), Retries).result.retry_after_us == 1_500_000


def test_messages_are_cut_and_always_text():
    message = msgspec.json.decode(body("x", "y" * 10_000 + "\ud800"))["message"]
    assert message == "y" * MESSAGE_CHARS_MAX + "…"
    assert msgspec.json.decode(body("x", "\ud800"))["message"] == "?"


def test_a_bad_configuration_names_its_fields():
    class Some(Config):
        url: str

    with pytest.raises(ValidationError) as caught:
        Some.model_validate({"url": 1, "other": 2})
    message = msgspec.json.decode(from_config(caught.value).error)["message"]
    assert "url: " in message
    assert "other: " in message


@pytest.mark.parametrize(
    ("output", "expected"),
    [(None, b"null"), ({"a": (1, 2)}, b'{"a":[1,2]}'), (float("nan"), b"null"), ("é", '"é"'.encode())],
)
def test_outputs(output, expected):
    assert encode_output(output, 100) == expected


@pytest.mark.parametrize("output", [object(), {1: object()}, "\ud800", 2**70])
def test_outputs_that_may_not_be_json_are_failures_not_crashes(output):
    assert isinstance(encode_output(output, 100), Failure | bytes)


def test_the_error_of_a_run_names_the_jobs_and_the_first_reason():
    ledger = Ledger(make_run(), GRAPH)
    ledger.close(1, JobStatus.FAILED, 1, error=body("x", "disk is full"))
    ledger.close(0, JobStatus.FAILED, 1)
    end = EndRun(RunStatus.FAILED, (1, 0), "job_failed")
    change = ending.change(make_run(), end, GRAPH, ledger.records, (1, 2))
    error = msgspec.json.decode(change.error)
    assert error["message"] == "job `b` failed: disk is full (and 1 more)"
    assert (error["job"], error["jobs"], change.output) == ("b", ["b", "a"], None)


def test_every_reason_to_skip_has_its_error():
    assert {msgspec.json.decode(error)["code"] for error in ending.SKIP_ERRORS.values()} == set(SkipReason)
