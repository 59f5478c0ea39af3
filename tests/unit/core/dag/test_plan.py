"""The planner by example."""

import msgspec
import pytest

from workflow_scheduler.core.dag.actions import (
    CANCELLED,
    PAUSED,
    SUCCEEDED,
    CancelJob,
    EndRun,
    Result,
    RetryJob,
    SkipJob,
    SkipReason,
    StartJob,
)
from workflow_scheduler.core.dag.graph import compile_graph
from workflow_scheduler.core.dag.plan import Progress, retry_delay_us
from workflow_scheduler.core.model.run import JobRecord, JobStatus, RunStatus
from workflow_scheduler.core.model.workflow import Definition

FAILED = Result(JobStatus.FAILED, code="job_failed", retryable=True)
REFUSED = Result(JobStatus.FAILED, code="rejected")
NOT_RUN = Result(JobStatus.SKIPPED, reason=SkipReason.CONDITION_FALSE)


def graph_of(jobs, parallel=5, **more):
    concurrency = {"max_parallel_jobs": parallel}
    parts = {name: {"uses": "noop", **job} for name, job in jobs.items()}
    return compile_graph(Definition.model_validate({"name": "flow", "jobs": parts, "concurrency": concurrency, **more}))


def record(job, status, **more):
    return JobRecord(tenant_id="t", run_id="r", job_id=job, fence=1, status=status, **more)


def test_a_chain_runs_in_order_and_ends_once():
    plan = Progress(graph_of({"a": {}, "b": {"needs": ["a"]}}))
    assert plan.start() == [StartJob(0, 1)]
    assert plan.apply(0, SUCCEEDED) == [StartJob(1, 1)]
    assert plan.apply(1, SUCCEEDED) == [EndRun(RunStatus.SUCCEEDED)]
    assert plan.apply(1, SUCCEEDED) == []


def test_a_run_without_jobs_succeeds_at_once():
    assert Progress(graph_of({})).start() == [EndRun(RunStatus.SUCCEEDED)]


def test_no_more_jobs_than_slots_and_the_next_one_when_a_slot_is_free():
    plan = Progress(graph_of({name: {} for name in "abc"}, parallel=2))
    assert plan.start() == [StartJob(0, 1), StartJob(1, 1)]
    assert plan.apply(1, SUCCEEDED) == [StartJob(2, 1)]


def test_a_failure_skips_what_wants_success_and_runs_the_handler_at_the_end_of_the_chain():
    jobs = {
        "a": {},
        "b": {"needs": ["a"]},
        "c": {"needs": ["b"]},
        "h": {"needs": ["c"], "run_if": "at_least_one_failed"},
    }
    plan = Progress(graph_of(jobs))
    plan.start()
    assert plan.apply(0, REFUSED) == [
        SkipJob(1, SkipReason.UPSTREAM_FAILED),
        SkipJob(2, SkipReason.UPSTREAM_FAILED),
        StartJob(3, 1),
    ]
    assert plan.apply(3, SUCCEEDED) == [EndRun(RunStatus.FAILED, (0,), "job_failed")]


def test_a_handler_that_is_not_needed_is_skipped_and_does_not_fail_what_follows():
    jobs = {
        "a": {},
        "h": {"needs": ["a"], "run_if": "all_failed"},
        "n": {"needs": ["a", "h"], "run_if": "none_failed"},
        "s": {"needs": ["a", "h"]},
    }
    plan = Progress(graph_of(jobs))
    plan.start()
    actions = plan.apply(0, SUCCEEDED)
    assert set(actions) == {SkipJob(1, SkipReason.RULE_NOT_MET), SkipJob(3, SkipReason.RULE_NOT_MET), StartJob(2, 1)}
    assert plan.apply(2, SUCCEEDED) == [EndRun(RunStatus.SUCCEEDED)]


def test_an_allowed_failure_lets_the_run_succeed_and_is_seen_by_both_kinds_of_rules():
    jobs = {
        "a": {"allow_failure": True},
        "next": {"needs": ["a"]},
        "otherwise": {"needs": ["a"], "run_if": "all_failed"},
    }
    plan = Progress(graph_of(jobs))
    plan.start()
    assert plan.apply(0, REFUSED) == [StartJob(1, 1), StartJob(2, 1)]
    plan.apply(1, SUCCEEDED)
    assert plan.apply(2, SUCCEEDED) == [EndRun(RunStatus.SUCCEEDED)]


def test_a_false_condition_skips_the_job_and_what_needs_it_but_the_run_succeeds():
    plan = Progress(graph_of({"a": {}, "b": {"needs": ["a"]}, "c": {"needs": ["a"], "run_if": "all_done"}}))
    plan.start()
    assert plan.apply(0, NOT_RUN) == [SkipJob(1, SkipReason.RULE_NOT_MET), StartJob(2, 1)]
    assert plan.apply(2, SUCCEEDED) == [EndRun(RunStatus.SUCCEEDED)]


def test_retries_until_the_attempts_are_used_up_and_hold_no_slot_meanwhile():
    plan = Progress(graph_of({"a": {"retry": {"attempts": 3, "delay": "2s"}}, "b": {}}, parallel=1))
    assert plan.start() == [StartJob(0, 1)]
    assert plan.apply(0, FAILED) == [RetryJob(0, 2, 2_000_000), StartJob(1, 1)]
    assert plan.wake(0) == []
    assert plan.apply(1, SUCCEEDED) == [StartJob(0, 2)]
    assert plan.apply(0, FAILED) == [RetryJob(0, 3, 2_000_000)]
    assert plan.wake(0) == [StartJob(0, 3)]
    assert plan.wake(0) == []
    assert plan.apply(0, FAILED) == [EndRun(RunStatus.FAILED, (0,), "job_failed")]


def test_what_cannot_be_retried_is_not():
    plan = Progress(graph_of({"a": {"retry": {"attempts": 3}}}))
    plan.start()
    assert plan.apply(0, REFUSED) == [EndRun(RunStatus.FAILED, (0,), "job_failed")]


def test_retry_on_names_the_codes_and_nothing_else_is_retried():
    retry = {"retry": {"attempts": 3, "delay": 0, "on": ["rejected"]}}
    for result, retried in ((REFUSED, True), (FAILED, False)):
        plan = Progress(graph_of({"a": retry}))
        plan.start()
        assert isinstance(plan.apply(0, result)[0], RetryJob) is retried


def test_a_peer_that_asks_to_wait_is_heeded():
    plan = Progress(graph_of({"a": {"retry": {"attempts": 2, "delay": "1s"}}}))
    plan.start()
    asked = Result(JobStatus.FAILED, code="retry_after", retryable=True, retry_after_us=7_000_000)
    assert plan.apply(0, asked) == [RetryJob(0, 2, 7_000_000)]


@pytest.mark.parametrize(
    ("backoff", "seconds"), [("fixed", [2, 2, 2, 2]), ("linear", [2, 4, 6, 7]), ("exponential", [2, 4, 7, 7])]
)
def test_backoff_grows_to_its_maximum(backoff, seconds):
    retry = {"attempts": 9, "delay": "2s", "max_delay": "7s", "backoff": backoff}
    node = graph_of({"a": {"retry": retry}}).nodes[0]
    assert [retry_delay_us(node, attempt, "r") for attempt in range(1, 5)] == [one * 1_000_000 for one in seconds]


def test_jitter_takes_away_up_to_half_and_is_the_same_for_the_same_run():
    node = graph_of({"a": {"retry": {"attempts": 9, "delay": "8s", "jitter": True}}}).nodes[0]
    drawn = [retry_delay_us(node, 1, f"run {number}") for number in range(50)]
    assert all(4_000_000 <= one <= 8_000_000 for one in drawn)
    assert len(set(drawn)) > 40
    assert drawn[3] == retry_delay_us(node, 1, "run 3")


def test_fail_fast_cancels_what_runs_skips_the_rest_and_still_runs_handlers():
    jobs = {
        "a": {},
        "b": {},
        "waits": {},
        "after": {"needs": ["b"]},
        "cleanup": {"needs": ["a", "b"], "run_if": "all_done"},
    }
    plan = Progress(graph_of(jobs, parallel=2, fail_fast=True))
    plan.start()
    assert plan.apply(0, REFUSED) == [CancelJob(1), SkipJob(2, SkipReason.FAIL_FAST)]
    assert plan.apply(1, CANCELLED) == [SkipJob(3, SkipReason.FAIL_FAST), StartJob(4, 1)]
    assert plan.apply(4, SUCCEEDED) == [EndRun(RunStatus.FAILED, (0,), "job_failed")]


def test_fail_fast_does_not_look_at_allowed_failures():
    plan = Progress(graph_of({"a": {"allow_failure": True}, "b": {}}, fail_fast=True))
    plan.start()
    assert plan.apply(0, REFUSED) == []


def test_a_parked_job_gives_its_slot_away():
    plan = Progress(graph_of({"a": {}, "b": {}}, parallel=1))
    assert plan.start() == [StartJob(0, 1)]
    assert plan.apply(0, PAUSED) == [StartJob(1, 1)]
    assert plan.apply(1, SUCCEEDED) == []
    assert plan.apply(0, SUCCEEDED) == [EndRun(RunStatus.SUCCEEDED)]


def test_stopping_cancels_what_is_under_way_and_starts_nothing_more():
    plan = Progress(graph_of({"a": {}, "b": {}, "c": {"needs": ["a"], "run_if": "all_done"}}, parallel=1))
    plan.start()
    assert plan.stop(RunStatus.CANCELLED, "cancelled") == [CancelJob(0), SkipJob(1, SkipReason.RUN_STOPPED)]
    assert plan.stop(RunStatus.FAILED, "timeout") == []
    assert plan.apply(0, CANCELLED) == [
        SkipJob(2, SkipReason.RUN_STOPPED),
        EndRun(RunStatus.CANCELLED, (), "cancelled"),
    ]


def test_a_failure_after_stopping_is_not_retried():
    plan = Progress(graph_of({"a": {"retry": {"attempts": 5}}}))
    plan.start()
    plan.stop(RunStatus.FAILED, "timeout")
    assert plan.apply(0, FAILED) == [EndRun(RunStatus.FAILED, (0,), "timeout")]


def test_a_run_that_is_stopped_before_it_starts_runs_nothing():
    plan = Progress(graph_of({"a": {}, "b": {"needs": ["a"]}}))
    plan.stop(RunStatus.CANCELLED, "cancelled")
    assert plan.start() == [
        SkipJob(0, SkipReason.RUN_STOPPED),
        SkipJob(1, SkipReason.RUN_STOPPED),
        EndRun(RunStatus.CANCELLED, (), "cancelled"),
    ]


def test_after_a_crash_finished_jobs_stay_finished_and_an_interrupted_one_gets_another_attempt():
    plan = Progress(graph_of({"a": {}, "b": {"needs": ["a"]}, "c": {"needs": ["b"]}}))
    assert plan.restore([record("a", JobStatus.SUCCEEDED), record("b", JobStatus.RUNNING)]) == [StartJob(1, 2)]
    assert plan.apply(1, SUCCEEDED) == [StartJob(2, 1)]


def test_the_attempt_after_an_interruption_is_the_last_when_the_attempts_are_used_up():
    plan = Progress(graph_of({"a": {"retry": {"attempts": 3}}}))
    assert plan.restore([record("a", JobStatus.RUNNING, attempt=3)]) == [StartJob(0, 4)]
    assert plan.apply(0, FAILED) == [EndRun(RunStatus.FAILED, (0,), "job_failed")]


def test_waiting_and_parked_jobs_stay_as_they_were():
    plan = Progress(graph_of({"a": {"retry": {"attempts": 3}}, "b": {}}))
    waiting = record("a", JobStatus.QUEUED, attempt=2, wake_at=5)
    assert plan.restore([waiting, record("b", JobStatus.PAUSED, wake_at=9)]) == []
    assert plan.wake(0) == [StartJob(0, 2)]
    assert plan.apply(1, SUCCEEDED) == []


def test_the_reason_of_a_stored_skip_counts_after_a_crash():
    jobs = {"a": {}, "b": {"needs": ["a"]}, "h": {"needs": ["b"], "run_if": "at_least_one_failed"}}
    for code, action in (("upstream_failed", StartJob(2, 1)), ("condition_false", SkipJob(2, SkipReason.RULE_NOT_MET))):
        stored = record("b", JobStatus.SKIPPED, error=msgspec.json.encode({"code": code, "message": "x"}))
        assert Progress(graph_of(jobs)).restore([record("a", JobStatus.FAILED), stored])[0] == action


def test_a_restored_failure_still_stops_the_rest_of_a_fail_fast_run():
    plan = Progress(graph_of({"a": {}, "b": {}, "c": {}}, fail_fast=True))
    assert plan.restore([record("a", JobStatus.FAILED), record("b", JobStatus.PAUSED, wake_at=9)]) == [
        CancelJob(1),
        SkipJob(2, SkipReason.FAIL_FAST),
    ]


def test_records_of_jobs_that_the_graph_does_not_have_are_ignored():
    assert Progress(graph_of({"a": {}})).restore([record("gone", JobStatus.SUCCEEDED)]) == [StartJob(0, 1)]


def test_everything_done_before_the_crash_ends_the_run():
    assert Progress(graph_of({"a": {}})).restore([record("a", JobStatus.SUCCEEDED)]) == [EndRun(RunStatus.SUCCEEDED)]
