import pytest

from workflow_scheduler.core.reasons import Reason
from workflow_scheduler.core.time.clock import HOUR_US, MINUTE_US, SECOND_US, from_iso
from workflow_scheduler.services.sentences import (
    REASONS,
    decided,
    delay,
    event_summary,
    local_time,
    occurrence_summary,
    reason_text,
    started_by,
)

DUE = from_iso("2027-01-05T07:00:00Z")


def cause(**given):
    event = {"provider": "webhook", "type": "webhook", "source": "/webhooks/orders", "subject": None}
    defaults = {
        "trigger": {"id": "t", "name": "nightly", "type": "cron"},
        "event": event,
        "replay_of": None,
        "user_id": None,
        "due": None,
        "received": DUE + 1_200_000,
        "timezone": "America/New_York",
        "upstream": None,
    }
    return {**defaults, **given}


def decision(**given):
    defaults = {
        "trigger": "pushes",
        "trigger_id": "t",
        "workflow": "build",
        "workflow_id": "w",
        "outcome": "filtered",
        "reason": "predicate_false",
        "predicates": [],
        "run_id": None,
        "run_status": None,
        "recorded": True,
    }
    return {**defaults, **given}


def test_a_scheduled_run_names_its_due_time_and_its_delay():
    assert started_by(cause(due=DUE)) == "Started by *nightly*, due 2027-01-05 02:00 EST, fired +1.2 s."


def test_a_schedule_whose_zone_is_unknown_is_told_in_utc():
    assert started_by(cause(due=DUE, timezone=None)) == "Started by *nightly*, due 2027-01-05 07:00 UTC, fired +1.2 s."


def test_a_pushed_event_names_type_and_source():
    told = started_by(cause(trigger={"id": "t", "name": "orders", "type": "webhook"}))
    assert told == "Started by *orders*: webhook from /webhooks/orders, received 2027-01-05T07:00:01.200000Z."


def test_a_subject_is_named_where_there_is_one():
    event = {"provider": "event", "type": "user_created", "source": "/system", "subject": "user/7"}
    told = started_by(cause(trigger={"id": "t", "name": "hello", "type": "event"}, event=event))
    assert told.startswith("Started by *hello*: user_created from /system about user/7")


def test_a_manual_start_names_the_person():
    event = {"provider": "manual", "type": "manual", "source": "/manual/w"}
    told = started_by(cause(trigger={"id": "t", "name": "manual", "type": "manual"}, event=event, user_id="ann"))
    assert told.startswith("Started by hand by ann through *manual*, received")


def test_a_dependency_names_the_upstream_and_how_it_ended():
    event = {"provider": "workflow", "type": "workflow_completed", "source": "/workflows/etl"}
    upstream = {"run_id": "r", "workflow": "etl", "status": "SUCCEEDED"}
    told = started_by(cause(trigger={"id": "t", "name": "after", "type": "workflow"}, event=event, upstream=upstream))
    assert told.startswith("Started by *after*: workflow etl ended SUCCEEDED")
    forgotten = started_by(cause(trigger={"id": "t", "name": "after", "type": "workflow"}, event=event))
    assert "workflow /workflows/etl ended workflow_completed" in forgotten


def test_a_missed_dependency_names_the_end_of_its_window():
    event = {
        "provider": "workflow",
        "type": "dependency_missed",
        "source": "/triggers/t",
        "time": "2027-01-05T08:00:00Z",
    }
    told = started_by(cause(trigger={"id": "t", "name": "after", "type": "workflow"}, event=event))
    assert told.startswith("Started by *after*: its window was over at 2027-01-05T08:00:00Z and members were missing")


def test_a_replay_names_the_first_event():
    assert started_by(cause(replay_of="e1")).startswith("Replayed from event e1 through *nightly*")


def test_a_forgotten_event_and_a_nameless_trigger_are_told_as_such():
    told = started_by(cause(trigger={"id": "t1", "name": None, "type": "webhook"}, event=None))
    assert told.startswith("Started by *t1*; its event is no longer stored")


@pytest.mark.parametrize(
    ("late", "text"),
    [
        (0, "+0 ms"),
        (35_000, "+35 ms"),
        (1_200_000, "+1.2 s"),
        (90 * SECOND_US, "+90.0 s"),
        (3 * MINUTE_US, "+3 min"),
        (5 * HOUR_US, "+5 h"),
        (-2 * SECOND_US, "-2.0 s"),
    ],
)
def test_delays_have_one_unit(late, text):
    assert delay(late) == text


@pytest.mark.parametrize(
    ("at", "zone", "text"),
    [
        ("2027-07-01T12:00:00Z", "America/New_York", "2027-07-01 08:00 EDT"),
        ("2027-01-01T12:00:05Z", "Europe/Berlin", "2027-01-01 13:00:05 CET"),
        ("2027-01-01T12:00:00Z", "Mars/Base", "2027-01-01 12:00 UTC"),
        ("2027-01-01T12:00:00Z", None, "2027-01-01 12:00 UTC"),
    ],
)
def test_local_times_carry_the_name_of_their_offset(at, zone, text):
    assert local_time(from_iso(at), zone) == text


def test_every_reason_has_words():
    assert set(REASONS) == set(Reason)
    assert reason_text("matched") == "everything matched"
    assert reason_text("from_the_future") == "from_the_future"
    assert reason_text(None) == "no reason was recorded"


def test_a_decision_tells_the_predicate_that_decided():
    lines = [
        {"name": "event", "expected": ["push"], "actual": "push", "verdict": True},
        {"name": "paths", "expected": ["src/**"], "actual": None, "verdict": None, "note": "the list is cut off"},
        {"name": "branches", "expected": ["main", "release/*"], "actual": "dev", "verdict": False},
    ]
    assert decided(decision(predicates=lines)) == (
        "*pushes* of build did not match: branches should be main, release/*, was dev."
    )
    assert decided(decision(predicates=lines[:2], reason="unknown_skipped")) == (
        "*pushes* of build did not match: paths should be src/**, which could not be decided: the list is cut off."
    )


def test_other_outcomes_tell_their_reason():
    assert decided(decision(outcome="skipped", reason="workflow_paused")) == (
        "*pushes* of build: skipped, because the workflow was paused."
    )
    assert decided(decision(outcome="run_started", run_id="r1", run_status="RUNNING")) == (
        "*pushes* of build started run r1 (RUNNING)."
    )
    assert decided(decision(recorded=False)) == "*pushes* of build was no candidate: it was not live then."
    assert decided(decision(trigger=None, workflow=None)).startswith("*t* of w did not match")


def test_long_values_are_cut():
    lines = [{"name": "data", "expected": "x" * 500, "actual": "y", "verdict": False}]
    assert len(decided(decision(predicates=lines))) < 200


def test_an_event_is_summed_up():
    event = {"provider": "github", "index_keys": ["acme/billing"], "duplicates": 0}
    assert event_summary(event, []) == (
        "Started nothing: no live github trigger listened to `acme/billing` when it came."
    )
    started = decision(outcome="run_started", run_id="r1")
    assert event_summary(event, [started, decision(), decision()]) == "Started 1 run; 2 triggers started none."
    assert event_summary(event, [started, started]) == "Started 2 runs."
    assert event_summary(event, [decision()]).startswith("Started nothing: *pushes* of build did not match")
    again = event_summary({**event, "duplicates": 2}, [started])
    assert again.endswith("The same event came 2 more times, which started nothing.")


@pytest.mark.parametrize(
    ("outcome", "reason", "text"),
    [
        ("run_started", "matched", "*nightly* was due 2027-01-05 02:00 EST and fired."),
        (
            "skipped",
            "missed_down",
            (
                "*nightly* was due 2027-01-05 02:00 EST and did not run (skipped): "
                "the service was down, and the catch-up policy leaves it out."
            ),
        ),
        ("planned", None, "*nightly* is due 2027-01-05 02:00 EST; that time has not come yet."),
    ],
)
def test_occurrences_are_told(outcome, reason, text):
    assert occurrence_summary("nightly", DUE, "America/New_York", outcome, reason) == text


def test_what_a_condition_saw_is_told_in_the_words_of_json():
    seen = {"event.data.amount": 20, "event.data.rush": False, "event.data.note": None}
    line = {"name": "condition", "expected": "event.data.amount > 100", "actual": seen, "verdict": False}
    assert decided(decision(predicates=[line], reason="condition_false")) == (
        "*pushes* of build did not match: condition should be event.data.amount > 100, "
        "was event.data.amount = 20, event.data.rush = false, event.data.note = nothing."
    )
