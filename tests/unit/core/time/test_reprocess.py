"""Which times a backfill runs: the rules, against a table written by hand."""

import itertools

import pytest

from workflow_scheduler.core.model.run import RunStatus
from workflow_scheduler.core.reasons import Outcome, Reason
from workflow_scheduler.core.time.reprocess import TIME_REASONS, UNKNOWN, Judged, Past, judge

RULES = ("missing", "failed", "all")
MISSED = Past(outcome="skipped", reason="missed_down")
BY_HAND = Past(outcome="skipped", reason="skipped_by_hand")
CALENDAR = Past(outcome="skipped", reason="calendar")


def ran(status):
    return Past(outcome="run_started", reason="matched", run_id="r", status=status, event_id="e")


@pytest.mark.parametrize(
    ("past", "missing", "failed", "every"),
    [
        (UNKNOWN, (True, "never_planned"), (True, "never_planned"), (True, "never_planned")),
        (MISSED, (True, "missed_down"), (True, "missed_down"), (True, "missed_down")),
        (CALENDAR, (True, "calendar"), (True, "calendar"), (True, "calendar")),
        (BY_HAND, (False, "skipped_by_hand"), (False, "skipped_by_hand"), (False, "skipped_by_hand")),
        (ran(RunStatus.SUCCEEDED), (False, "has_run"), (False, "run_succeeded"), (True, "again")),
        (ran(RunStatus.FAILED), (False, "has_run"), (True, "run_failed"), (True, "again")),
        (ran(RunStatus.CANCELLED), (False, "has_run"), (True, "run_cancelled"), (True, "again")),
        (ran(RunStatus.RUNNING), (False, "has_run"), (False, "in_progress"), (True, "again")),
        (ran(None), (False, "has_run"), (False, "has_run"), (True, "again")),
    ],
)
def test_what_is_known_of_a_time_decides(past, missing, failed, every):
    assert [tuple(judge(past, rule)) for rule in RULES] == [missing, failed, every]


@pytest.mark.parametrize("outcome", [Outcome.DEFERRED, Outcome.HELD, Outcome.SUSPENDED])
def test_a_time_whose_event_waits_for_its_run_is_never_run_beside_it(outcome):
    waiting = Past(outcome=outcome, reason="queued_concurrency", event_id="e")
    for rule, ignore in itertools.product(RULES, (False, True)):
        assert judge(waiting, rule, ignore_skips=ignore) == Judged(runs=False, reason="held_back")


@pytest.mark.parametrize("reason", [Reason.SKIPPED_BY_HAND, Reason.CALENDAR])
def test_what_is_left_out_runs_only_when_skips_are_ignored(reason):
    for past, rule in itertools.product((UNKNOWN, MISSED, ran(RunStatus.FAILED)), RULES):
        assert judge(past, rule, left_out=reason.value) == Judged(runs=False, reason=reason.value)
        assert judge(past, rule, left_out=reason.value, ignore_skips=True) == judge(past, rule)


def test_every_rule_runs_what_the_narrower_one_runs():
    pasts = [UNKNOWN, MISSED, BY_HAND, CALENDAR, *(ran(status) for status in (None, *RunStatus))]
    for past in pasts:
        narrow, middle, wide = (judge(past, rule).runs for rule in RULES)
        assert narrow <= middle <= wide


def test_every_reason_is_one_of_the_documented_ones():
    pasts = [UNKNOWN, MISSED, BY_HAND, *(ran(status) for status in (None, *RunStatus))]
    known = set(TIME_REASONS) | {reason.value for reason in Reason}
    assert {judge(past, rule).reason for past in pasts for rule in RULES} <= known
