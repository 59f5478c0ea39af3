"""Schedules of other systems: what is read, what is refused, and where the two systems differ."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflow_scheduler.core.errors import ValidationFailed
from workflow_scheduler.core.time import cron
from workflow_scheduler.core.time.clock import from_iso
from workflow_scheduler.core.time.dialects import compare, crontab, entry, eventbridge, github_actions, kubernetes

START = from_iso("2027-01-01T00:00:00Z")
EPOCH = datetime.fromisoformat("1970-01-01")
NEW_YORK = "America/New_York"


def read(found: Any) -> list[entry.Imported]:
    entries, unread = entry.every_entry(found)
    assert unread == []
    return entries


def refused(found: Any) -> list[str]:
    entries, unread = entry.every_entry(found)
    assert entries == []
    return [one.message for one in unread]


def differing(one: entry.Imported, years: int = 1) -> list[tuple[str, str]]:
    return [(item.local, item.fires) for item in compare.differences(one, START, years).items]


def scheduled(expression: str, **more: Any) -> dict[str, Any]:
    return {"Name": "nightly", "ScheduleExpression": expression, **more}


class TestCrontab:
    def test_entries_settings_and_comments(self):
        text = '# a comment\nMAILTO=ops@example.test\nPATH = "/bin"\n\n30 2 * * * /opt/backup.sh --all\n@daily clean\n'
        backup, clean = read(crontab.entries(text, "Europe/Berlin"))
        assert backup.name == "backup-sh"
        assert backup.trigger == {"type": "cron", "cron": "30 2 * * *", "timezone": "Europe/Berlin"}
        assert backup.jobs["run"] == {"run": "/opt/backup.sh --all", "env": {"PATH": "/bin"}}
        assert "ops@example.test" in backup.notes[0]
        assert clean.trigger["cron"] == "@daily"

    def test_a_zone_line_holds_from_there_on(self):
        first, second = read(crontab.entries("0 1 * * * a\nCRON_TZ=Asia/Tokyo\n0 1 * * * a\n", "UTC"))
        assert (first.trigger["timezone"], second.trigger["timezone"]) == ("UTC", "Asia/Tokyo")
        assert (first.name, second.name) == ("a", "a-2")

    def test_what_follows_a_percent_sign_is_standard_input(self):
        (one,) = read(crontab.entries(r"0 1 * * * mail -s 100\% ops%it's%done", "UTC"))
        assert one.name == "mail"
        assert one.jobs["run"]["run"] == "printf '%s\\n' 'it'\"'\"'s\ndone' | ( mail -s 100% ops )"

    def test_dollar_braces_stay_shell(self):
        (one,) = read(crontab.entries("0 1 * * * echo ${HOME}", "UTC"))
        assert one.jobs["run"]["run"] == "echo $${HOME}"

    def test_system_crontabs_name_a_user(self):
        (one,) = read(crontab.entries("17 * * * * root run-parts /etc/cron.hourly", "UTC", system=True))
        assert one.jobs["run"]["run"] == "run-parts /etc/cron.hourly"
        assert "`root`" in one.notes[0]

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            ("@reboot start", "a restart is not a time"),
            ("1 2 3", "too few fields"),
            ("* * * * *", "no command"),
            ("0 0 31 2 * never", "never fires"),
            ("61 * * * * x", "minute"),
        ],
    )
    def test_what_cannot_be_taken_over_is_said(self, line, said):
        assert said in refused(crontab.entries(line, "UTC"))[0]

    def test_an_unknown_zone_of_the_host_is_refused(self):
        with pytest.raises(ValidationFailed):
            list(crontab.entries("", "Mars/Base"))
        assert "Mars/Base" in refused(crontab.entries("CRON_TZ=Mars/Base\n0 1 * * * a", "UTC"))[0]

    @pytest.mark.parametrize("text", ["30 2 * * *", "*/5 * * * *", "0 1 * * *", "0 */2 1 * MON"])
    def test_it_does_at_clock_changes_what_cron_did(self, text):
        (one,) = read(crontab.entries(f"{text} x", NEW_YORK))
        assert differing(one, 5) == []


def cronjob(schedule: str, **spec: Any) -> dict[str, Any]:
    return {"kind": "CronJob", "metadata": {"name": "report"}, "spec": {"schedule": schedule, **spec}}


def pod(**container: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": [container]}}}}


class TestKubernetes:
    def test_a_missing_time_did_not_run_and_a_doubled_one_ran_twice(self):
        (one,) = read(kubernetes.entries([cronjob("30 1,2 * * *", timeZone=NEW_YORK)], "UTC"))
        assert differing(one) == [("2027-03-14T03:00:00", "now"), ("2027-11-07T01:30:00", "before")]
        kept = compare.as_before(one)
        assert (kept.trigger["dst_gap"], kept.trigger["dst_overlap"]) == ("skip", "both")
        assert differing(kept, 5) == []

    def test_expressions_in_real_time_agree(self):
        (one,) = read(kubernetes.entries([cronjob("*/20 * * * *", timeZone=NEW_YORK)], "UTC"))
        assert differing(one, 5) == []
        assert compare.as_before(one) == one

    def test_commands_variables_and_notes(self):
        job = pod(image="busybox", command=["sh", "-c"], args=["echo ${X}"], env=[{"name": "X", "value": 1}])
        spec = {"jobTemplate": job, "suspend": True, "concurrencyPolicy": "Forbid"}
        (one,) = read(kubernetes.entries([cronjob("0 1 * * *", **spec)], "Asia/Tokyo"))
        assert one.jobs["run"] == {"run": "sh -c 'echo $${X}'", "env": {"X": "1"}}
        assert one.trigger == {"type": "cron", "cron": "0 1 * * *", "timezone": "Asia/Tokyo", "enabled": False}
        assert any("busybox" in text for text in one.notes)
        assert any("Forbid" in text for text in one.notes)
        assert any("Asia/Tokyo" in text for text in one.notes)

    def test_lists_other_kinds_and_spans(self):
        listed = {"kind": "List", "items": [cronjob("@every 1h30m"), {"kind": "Service"}, 7]}
        (one,) = read(kubernetes.entries([listed, None, {"kind": "Service"}], "UTC"))
        assert one.trigger == {"type": "interval", "every": "5400s"}
        assert one.jobs["run"] == {"uses": "noop"}

    @pytest.mark.parametrize("schedule", ["", "0 0 * *", "@every soon", "@every 1h x", "0 0 31 2 *", None])
    def test_what_cannot_be_taken_over_is_said(self, schedule):
        assert refused(kubernetes.entries([{"kind": "CronJob", "spec": {"schedule": schedule}}], "UTC"))


def values(piece: str, low: int, high: int) -> set[int]:
    """The values of one piece of a field, by robfig/cron."""
    head, _, step = piece.partition("/")
    if head in {"*", "?"}:
        first, last = low, high
    else:
        first, _, end = head.partition("-")  # type: ignore[assignment]
        first, last = int(first), int(end) if end else (high if step else int(first))
    return set(range(first, last + 1, int(step or 1)))


def robfig(expression: str, moment: datetime) -> bool:
    """Whether robfig/cron fires at a wall time, written anew from its specification."""
    spans = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
    now = (moment.minute, moment.hour, moment.day, moment.month, moment.isoweekday() % 7)
    hits, stars = [], []
    for field, (low, high), number in zip(expression.split(), spans, now, strict=True):
        pieces = field.split(",")
        hits.append(any(number in values(piece, low, high) for piece in pieces))
        stars.append(any(piece in {"*", "?", "*/1", "?/1"} for piece in pieces))
    days = hits[2] and hits[4] if stars[2] or stars[4] else hits[2] or hits[4]
    return hits[0] and hits[1] and hits[3] and days


def field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    piece = st.one_of(
        st.just("*"),
        st.just("?") if high in {31, 6} else st.just("*"),
        st.integers(1, 5).map(lambda step: f"*/{step}"),
        number.map(str),
        st.tuples(number, number).map(lambda two: f"{min(two)}-{max(two)}"),
        st.tuples(number, st.integers(1, 5)).map(lambda two: f"{two[0]}/{two[1]}"),
    )
    return st.lists(piece, min_size=1, max_size=2).map(",".join)


@settings(max_examples=300, deadline=None)
@given(st.tuples(field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 6)), st.integers(0, 3_000_000))
def test_a_translated_expression_of_kubernetes_names_the_same_wall_times(fields, minute):
    expression = " ".join(fields)
    ours = cron.parse(kubernetes.translated(expression))
    begin = 900_000_000 // 60 + minute
    found = ours.next_local(begin * 60)
    for number in range(begin, begin + 500):
        moment = EPOCH + timedelta(minutes=number)
        fires = robfig(expression, moment)
        assert fires == (found == number * 60), (expression, moment)
        if fires:
            found = ours.next_local(number * 60 + 1)


class TestEventBridge:
    @pytest.mark.parametrize(
        ("theirs", "ours"),
        [
            ("0 8 ? * 2-6 *", "0 8 * * 1-5"),
            ("0/5 8-17 ? * MON-FRI *", "0/5 8-17 * * MON-FRI"),
            ("0 8 ? * 1,7 *", "0 8 * * 0,6"),
            ("0 8 ? * 6L *", "0 8 * * 5L"),
            ("0 8 ? * L *", "0 8 * * 6"),
            ("0 8 ? * 2#1 *", "0 8 * * 1#1"),
            ("0 8 L * ? *", "0 8 L * *"),
            ("0 8 3W * ? *", "0 8 3W * *"),
            ("15 10 * * ? *", "15 10 * * *"),
        ],
    )
    def test_days_of_the_week_are_counted_anew(self, theirs, ours):
        assert eventbridge.translated(theirs) == (ours, {})
        cron.parse(ours)

    def test_years_become_bounds(self):
        text, bounds = eventbridge.translated("0 8 1 * ? 2027-2028")
        assert (text, bounds["start_at"], bounds["end_at"]) == (
            "0 8 1 * *",
            "2027-01-01T00:00:00",
            "2028-12-31T23:59:59",
        )
        (one,) = read(eventbridge.entries(scheduled("cron(30 2 * * ? 2028)", ScheduleExpressionTimezone=NEW_YORK)))
        assert differing(one, 5) == [("2028-03-12T03:00:00", "now")]

    def test_rates_and_single_times(self):
        (rate,) = read(eventbridge.entries([scheduled("rate(5 minutes)", State="DISABLED")]))
        assert rate.trigger == {"type": "interval", "every": "5m", "enabled": False}
        (single,) = read(eventbridge.entries(scheduled("at(2027-03-01T09:00:00)", ScheduleExpressionTimezone=NEW_YORK)))
        assert single.trigger == {"type": "once", "run_at": "2027-03-01T09:00:00", "timezone": NEW_YORK}
        assert compare.differences(rate, START).items == compare.differences(single, START).items == []

    def test_a_missing_time_did_not_run_and_a_doubled_one_ran_once_whatever_the_expression(self):
        listed = {"Schedules": [scheduled("cron(0 * * * ? *)", ScheduleExpressionTimezone=NEW_YORK)]}
        (hourly,) = read(eventbridge.entries(listed))
        assert differing(hourly) == [("2027-11-07T01:00:00", "now")]
        (night,) = read(eventbridge.entries(scheduled("cron(30 1,2 * * ? *)", ScheduleExpressionTimezone=NEW_YORK)))
        assert differing(night) == [("2027-03-14T03:00:00", "now")]
        assert differing(compare.as_before(night), 5) == []

    def test_rules_run_in_utc_and_events_without_a_schedule_are_left_out(self):
        listed = {"Rules": [scheduled("cron(30 2 * * ? *)"), {"Name": "pattern", "EventPattern": "{}"}]}
        (one,) = read(eventbridge.entries(listed))
        assert one.trigger["timezone"] == "UTC"
        assert differing(one, 5) == []

    def test_the_input_of_the_target_is_kept(self):
        target = {"Arn": "arn:aws:lambda:x", "Input": '{"a": 1}'}
        (one,) = read(eventbridge.entries(scheduled("rate(1 hour)", Target=target)))
        assert one.trigger["input"] == {"a": 1}
        assert any("arn:aws:lambda:x" in text for text in one.notes)

    @pytest.mark.parametrize(
        "expression",
        ["cron(0 0 1 * 2 *)", "cron(0 0 * * *)", "cron(0 0 ? * 8 *)", "cron(0 0 ? * 0 *)", "cron(0 0 1 * ? 2027/2)",
         "rate(0.5 days)", "rate(5 weeks)", "at(soon)", "every day", "cron(x)"],
    )  # fmt: skip
    def test_what_cannot_be_taken_over_is_said(self, expression):
        assert refused(eventbridge.entries(scheduled(expression)))


def actions(*schedules: Any) -> list[Any]:
    return [{"name": "Nightly build", "on": {"schedule": list(schedules)}, "jobs": {"test": {}, "build": {}}}]


class TestGitHubActions:
    def test_each_schedule_becomes_an_entry_in_utc(self):
        first, second = read(github_actions.entries(actions({"cron": "30 5 * * 1,3"}, {"cron": "30 5 * * 2"})))
        assert first.trigger == {"type": "cron", "cron": "30 5 * * 1,3", "timezone": "UTC"}
        assert (first.name, second.name) == ("nightly-build", "nightly-build-2")
        assert "build, test" in first.notes[0]
        assert differing(first, 5) == []

    @pytest.mark.parametrize("schedule", [{"cron": "@daily"}, {"cron": "0 0 31 2 *"}, {"corn": "* * * * *"}, 7])
    def test_what_cannot_be_taken_over_is_said(self, schedule):
        assert refused(github_actions.entries(actions(schedule)))

    def test_files_without_schedules_have_no_entries(self):
        for document in (None, {}, {"on": "push"}, {"on": {"push": None}}, {"on": {"schedule": None}}):
            assert read(github_actions.entries([document])) == []


def test_very_many_differences_are_cut_and_said(monkeypatch):
    monkeypatch.setattr(compare, "_LISTED_MAX", 5)
    (one,) = read(eventbridge.entries(scheduled("cron(* * * * ? *)", ScheduleExpressionTimezone=NEW_YORK)))
    found = compare.differences(one, START)
    assert (len(found.items), found.complete) == (5, False)
